package report

import (
	"hash/maphash"
	"math"
	"time"
)

// A Measure says of some tags how many there are, how large and how old.
type Measure struct {
	Tags   int       `json:"tags"`
	Sized  int       `json:"sized"`           // of them, those whose bytes are known
	Bytes  int64     `json:"bytes"`           // that the sized ones reference; each manifest once, layers that manifests share for each
	Oldest time.Time `json:"oldest,omitzero"` // when the oldest was pushed or made; zero where that is not known of any
}

// add measures a tag. One whose manifest was measured before, by another tag, adds no bytes.
func (m *Measure) add(bytes int64, made time.Time, again bool) {
	m.Tags++
	if bytes > 0 {
		m.Sized++
		if !again {
			m.Bytes = saturated(m.Bytes, bytes)
		}
	}
	m.seen(made)
}

// merge adds what another measures, which may be out of a file.
func (m *Measure) merge(o Measure) {
	m.Tags += o.Tags
	m.Sized += o.Sized
	m.Bytes = saturated(m.Bytes, max(o.Bytes, 0))
	m.seen(o.Oldest)
}

// seen takes note of when a tag was made.
func (m *Measure) seen(made time.Time) {
	if !made.IsZero() && (m.Oldest.IsZero() || made.Before(m.Oldest)) {
		m.Oldest = made
	}
}

// Size says how large the tags are; nothing where that is not known of any.
func (m *Measure) Size() string {
	switch {
	case m.Sized == 0:
		return ""
	case m.Sized < m.Tags:
		return Size(m.Bytes) + " or more"
	default:
		return Size(m.Bytes)
	}
}

// shortSize is the same for a column of a table.
func (m *Measure) shortSize() string {
	if m.Sized > 0 && m.Sized < m.Tags {
		return "≥ " + Size(m.Bytes)
	}
	return m.Size()
}

// saturated adds sizes that the server named, which may be anything.
func saturated(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// Manifests tell which manifests have been counted, by their digests, in each row of a table. The zero value
// has none.
type manifests struct {
	seed maphash.Seed
	seen map[uint64]struct{}
}

// mostManifests is how many digests are remembered, in some 20 MiB; of further manifests each tag counts.
const mostManifests = 1 << 20

// again reports whether a manifest has been counted before in a row of a table, and takes note of it. One whose
// digest is not known counts as another than all before.
func (m *manifests) again(row, digest string) bool {
	if digest == "" {
		return false
	}
	if m.seen == nil {
		m.seed, m.seen = maphash.MakeSeed(), make(map[uint64]struct{})
	}
	hash := maphash.String(m.seed, row+"\n"+digest)
	_, again := m.seen[hash]
	if !again && len(m.seen) < mostManifests {
		m.seen[hash] = struct{}{}
	}
	return again
}
