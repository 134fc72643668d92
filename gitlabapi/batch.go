package gitlabapi

import "sync"

// maxScore is more than any query may cost; a server that speaks of more is not
// believed.
const maxScore = 1_000_000

// A batch is how many things of a kind go into one request just now. It is safe for
// concurrent use.
type batch struct {
	mu         sync.Mutex
	size, most int
}

// now returns the number, at least 1.
func (b *batch) now() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.size
}

// halve is told that a request for so many was too much. Never again will there be as
// many. Several requests that were sent at the same size halve it once.
func (b *batch) halve(asked int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.most = min(b.most, max(asked-1, 1))
	b.size = min(b.size, max(asked/2, 1))
}

// answered is told what a request for so many cost and what one may cost. The number
// keeps a tenth away from the limit even if the cost should grow with it in
// proportion, and grows by half at a time.
func (b *batch) answered(asked, score, limit int) {
	if score < 1 || limit < 1 || score > maxScore || limit > maxScore {
		return
	}
	fits := max(asked*limit*9/10/score, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case fits < asked:
		b.size = min(b.size, fits)
	case asked >= b.size:
		b.size = min(fits, b.size+max(b.size/2, 1), b.most)
	}
}
