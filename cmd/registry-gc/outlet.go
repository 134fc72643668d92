package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"
)

const (
	// maxQueued is how many bytes may wait for a reader: some 20,000 lines of a log, which
	// is a run's worth, and little beside the memory that a run takes.
	maxQueued = 4 << 20
	// chunkSize is how much is written at once. What takes longer than logPatience for
	// that much is not read by anybody.
	chunkSize = 16 << 10
	// logPatience is how long the end of a run waits for a reader of the log that takes
	// nothing.
	logPatience = 10 * time.Second
	// stopTimeout is how long it waits for any reader after a signal. The sender of the
	// signal may kill the program ten seconds later, of which deletions in flight may take
	// eight and a push of metrics one.
	stopTimeout = 300 * time.Millisecond
)

// errUnread says that something was written to standard output and nothing took it.
var errUnread = errors.New("standard output takes nothing")

// An outlet passes on to standard error or standard output what is written to it, by a
// goroutine of its own. [outlet.Write] never waits: a terminal that is paused, or a log
// driver that is stuck, must hold up neither the run, nor the records of what was deleted,
// which are made by the goroutine that also writes the log, nor the end after a signal.
//
// What bounds it: at most maxQueued bytes wait. Beyond that a write is dropped and
// counted, and the reader is told how many were as soon as it reads on. Waiting instead
// would delay the records, and a process that is killed meanwhile would have deleted tags
// that are recorded nowhere. A reader has to fall behind by megabytes for that.
//
// What ends it: [outlet.close], after [outlet.flush] has waited for the reader. A write
// that is blocked in the kernel cannot be called back; it ends with the process.
type outlet struct {
	w io.Writer
	// dropNotice returns the text that tells the reader how many writes were dropped. It is
	// set before the first write; nil tells nothing.
	dropNotice func(writes int) []byte

	mu      sync.Mutex
	queue   [][]byte
	queued  int // bytes
	dropped int // since the reader was told
	losses  int // in all
	writing bool
	unread  bool // a flush gave up, and nothing was taken since
	closed  bool
	err     error         // of the first write that failed
	changed chan struct{} // closed, and replaced, whenever one of these has changed
}

func newOutlet(w io.Writer) *outlet {
	o := &outlet{w: w, changed: make(chan struct{})}
	go o.writeQueue()
	return o
}

// Write implements [io.Writer]. It takes the text over, and reports no error: see flush.
func (o *outlet) Write(text []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed || len(o.queue) > 0 && o.queued+len(text) > maxQueued {
		o.dropped++
		o.losses++
		return len(text), nil
	}
	o.queue = append(o.queue, append([]byte(nil), text...))
	o.queued += len(text)
	o.announce()
	return len(text), nil
}

// announce wakes the goroutines that wait for a change. The lock is held.
func (o *outlet) announce() {
	close(o.changed)
	o.changed = make(chan struct{})
}

// writeQueue writes what is queued, in chunks of whole writes, until the outlet is closed.
func (o *outlet) writeQueue() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		for len(o.queue) == 0 {
			if o.closed {
				return
			}
			changed := o.changed
			o.mu.Unlock()
			<-changed
			o.mu.Lock()
		}
		var chunk []byte
		if o.dropped > 0 && o.dropNotice != nil {
			chunk, o.dropped = o.dropNotice(o.dropped), 0
		}
		taken := 0
		for taken < len(o.queue) && (taken == 0 || len(chunk)+len(o.queue[taken]) <= chunkSize) {
			chunk = append(chunk, o.queue[taken]...)
			o.queued -= len(o.queue[taken])
			taken++
		}
		o.queue = slices.Delete(o.queue, 0, taken)
		o.writing = true
		o.mu.Unlock()
		_, err := o.w.Write(chunk)
		o.mu.Lock()
		o.writing, o.unread = false, false
		if o.err == nil {
			o.err = err
		}
		o.announce()
	}
}

// lost returns how many writes have been dropped so far.
func (o *outlet) lost() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.losses
}

// busy reports whether something has not been taken yet.
func (o *outlet) busy() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.queue) > 0 || o.writing
}

// flush waits until all that was written is taken, and returns the error of the first write
// that failed. It gives up with [errUnread] when nothing is taken for as long as patience
// says, 0 being no limit, and in any case stopTimeout after the context has ended. The next
// flush then waits no more, unless something was taken after all.
func (o *outlet) flush(ctx context.Context, patience time.Duration) error {
	stopping := ctx.Done()
	var deadline <-chan time.Time
	for {
		o.mu.Lock()
		pending, unread, changed, err := len(o.queue) > 0 || o.writing, o.unread, o.changed, o.err
		o.mu.Unlock()
		if !pending {
			return err
		}
		if unread {
			return errUnread
		}
		var idle <-chan time.Time
		if patience > 0 {
			idle = time.After(patience)
		}
		select {
		case <-changed:
			continue
		case <-stopping:
			stopping, deadline = nil, time.After(stopTimeout)
			continue
		case <-idle:
		case <-deadline:
		}
		o.mu.Lock()
		o.unread = true
		o.mu.Unlock()
	}
}

// close ends the goroutine when it has written what is queued. It does not wait for that.
func (o *outlet) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closed {
		o.closed = true
		o.announce()
	}
}
