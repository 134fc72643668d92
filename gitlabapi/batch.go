package gitlabapi

import (
	"errors"
	"sync"
)

const (
	// maxScore is more than any query may cost; a server that speaks of more is not
	// believed.
	maxScore = 1_000_000
	// maxSteady is the most successes that a step up takes. What is always too much is
	// then tried once in some hundred requests.
	maxSteady = 64
)

// A batch is how many things of a kind go into one request just now. It is safe for
// concurrent use. Its rules:
//
//   - What is too complex stays so: never again will there be as many.
//   - A timeout or a failure of the server may be due to the number or to an outage. It
//     halves the number, which then grows again, by half at a time, to what it was.
//   - A step up takes one success, and twice as many each time that the way up ends in
//     a further failure, until the number is back to what it was and holds.
//   - Where the server says what a request costs, that bounds the number, or lets it
//     grow beyond what it was.
//
// Only a request for as many as there are just now shows that more may do. Where that is
// one alone, which is not worth a request of GraphQL's, one over REST shows it.
type batch struct {
	mu    sync.Mutex
	size  int // just now
	usual int // when nothing is amiss
	most  int // what has not been too complex

	steady    int  // successes that a step up takes
	successes int  // since the last step
	climbing  bool // a step up has been taken, and no failure come since
}

func newBatch(size, most int) batch {
	return batch{size: size, usual: size, most: most, steady: 1}
}

// now returns the number, at least 1.
func (b *batch) now() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.size
}

// heard is told what became of a request for so many. An error that has nothing to do
// with their number changes nothing.
func (b *batch) heard(asked int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case err == nil:
		b.succeeded(asked)
	case errors.Is(err, ErrTooComplex):
		b.most = min(b.most, max(asked-1, 1))
		b.usual = min(b.usual, max(asked/2, 1))
		b.size = min(b.size, b.usual)
	case tooMuch(err):
		b.failed(asked)
	}
}

func (b *batch) succeeded(asked int) {
	switch {
	case asked < b.size:
	case b.size == b.usual:
		b.steady, b.successes, b.climbing = 1, 0, false
	default:
		if b.successes++; b.successes >= b.steady {
			b.size, b.successes, b.climbing = min(b.usual, larger(b.size)), 0, true
		}
	}
}

// failed halves the number, once for several requests that were sent at the same size.
func (b *batch) failed(asked int) {
	fewer := max(asked/2, 1)
	if fewer >= b.size {
		return
	}
	if b.climbing {
		b.steady = min(2*b.steady, maxSteady)
	}
	b.size, b.successes, b.climbing = fewer, 0, false
}

// cost is told what a success for so many cost and what one may cost. The number
// keeps a tenth away from the limit even if the cost should grow with it in
// proportion.
func (b *batch) cost(asked, score, limit int) {
	if score < 1 || limit < 1 || score > maxScore || limit > maxScore {
		return
	}
	fits := max(asked*limit*9/10/score, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	whole := b.size == b.usual
	switch {
	case fits < asked:
		b.usual = min(b.usual, fits)
	case asked >= b.usual:
		b.usual = min(fits, larger(b.usual), b.most)
	}
	if whole || b.size > b.usual {
		b.size = b.usual
	}
}

// larger returns a number and half of it, at least one more.
func larger(n int) int { return n + max(n/2, 1) }
