package throttle

import (
	"fmt"
	"math"
	"testing"
	"time"
)

// BenchmarkLimiterWithoutLimit is what every request pays for the limiter.
func BenchmarkLimiterWithoutLimit(b *testing.B) {
	l := newLimiter(0, 1, math.MaxInt)
	b.ReportAllocs()
	for b.Loop() {
		if err := l.wait(b.Context(), everything, reads, Ordinary); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLimiterShared has all processors at one limiter.
func BenchmarkLimiterShared(b *testing.B) {
	l := newLimiter(0, 1, math.MaxInt)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := l.wait(b.Context(), everything, reads, Ordinary); err != nil {
				b.Error(err)
			}
		}
	})
}

// BenchmarkLimiterAndBack is a request and its answer, which says what is left of a limit.
func BenchmarkLimiterAndBack(b *testing.B) {
	l := newLimiter(1, math.MaxInt32, math.MaxInt)
	resp := reply(nil, 200, "", "RateLimit-Name", "api", "RateLimit-Limit", "2000", "RateLimit-Remaining", "1990",
		"RateLimit-Reset", "4000000000", "Date", "Tue, 02 Oct 2096 07:06:00 GMT")
	b.ReportAllocs()
	for b.Loop() {
		if err := l.wait(b.Context(), everything, reads, Ordinary); err != nil {
			b.Fatal(err)
		}
		l.leave(everything, reads, time.Now(), resp, nil)
	}
}

// BenchmarkNextLink reads the header of a numbered page as GitLab sends it.
func BenchmarkNextLink(b *testing.B) {
	const list = "https://gitlab.example/api/v4/projects/1/registry/repositories/2/tags?id=1&repository_id=2&per_page=100&page="
	header := []string{fmt.Sprintf(`<%[1]s1>; rel="prev", <%[1]s3>; rel="next", <%[1]s1>; rel="first", <%[1]s9>; rel="last"`, list)}
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := nextLink(header); !ok {
			b.Fatal("not found")
		}
	}
}
