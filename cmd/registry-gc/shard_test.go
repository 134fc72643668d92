package main

import (
	"fmt"
	"testing"

	"github.com/sethvargo/go-envconfig"
)

// TestShardsShareTheRate: together they send no more than one process, but each can send.
func TestShardsShareTheRate(t *testing.T) {
	for _, test := range []struct {
		limit, burst, shards string
		wantLimit            float64
		wantBurst            int
	}{
		{"", "", "1", 20, 20},
		{"", "", "4", 5, 5},
		{"30", "10", "4", 7.5, 2},
		{"1", "3", "4", 0.25, 1},
		{"0", "20", "2", 0, 10},
	} {
		t.Run(fmt.Sprint(test), func(t *testing.T) {
			config, err := loadConfig(t.Context(), settings{envconfig.MapLookuper(map[string]string{
				"GITLAB_URL": "https://gitlab.example.com", "GITLAB_TOKEN": "glpat-x",
				"RATE_LIMIT": test.limit, "RATE_BURST": test.burst, "SHARD_INDEX": "0", "SHARD_COUNT": test.shards,
			})})
			if err != nil {
				t.Fatal(err)
			}
			got := (&job{config: config}).client()
			if got.RateLimit != test.wantLimit || got.RateBurst != test.wantBurst {
				t.Errorf("%v requests a second, at once %d", got.RateLimit, got.RateBurst)
			}
		})
	}
}
