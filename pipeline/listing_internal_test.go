package pipeline

import (
	"fmt"
	"testing"
)

// BenchmarkCounterparts looks caches up in a counterpart's listing, as is done once for
// each cache tag.
func BenchmarkCounterparts(b *testing.B) {
	for _, size := range []int{100, 10_000, 1_000_000} {
		tags := make([]listedTag, size)
		for i := range tags {
			tags[i].name = fmt.Sprintf("feature-%07d", i)
		}
		l := newListing(tags)
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if !l.has(tags[i*7919%size].name) {
					b.Fatal("a tag is missing from its listing")
				}
			}
		})
	}
}

// TestListing: each tag once, and found.
func TestListing(t *testing.T) {
	l := newListing([]listedTag{{name: "c"}, {name: "a"}, {name: "c"}, {name: "b"}})
	if len(l) != 3 || !l.has("a") || !l.has("b") || !l.has("c") || l.has("bb") {
		t.Fatalf("the listing is %v", l)
	}
}
