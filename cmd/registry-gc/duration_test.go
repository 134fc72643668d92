package main

import (
	"testing"
	"time"
)

func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "0d": 0, "1d": 24 * time.Hour, "30d": 720 * time.Hour, "1d12h": 36 * time.Hour,
		"1.5d": 36 * time.Hour, "2d3h4m5s": 51*time.Hour + 4*time.Minute + 5*time.Second, "24h": 24 * time.Hour,
		"90m": 90 * time.Minute, "1ns": 1, "1.5h": 90 * time.Minute, "100000d": 100000 * 24 * time.Hour,
	} {
		var got duration
		if err := got.UnmarshalText([]byte(text)); err != nil || time.Duration(got) != want {
			t.Errorf("%s is %v (%v), want %v", text, time.Duration(got), err, want)
		}
	}
	for _, text := range []string{
		"", "30", "d", "1D", "1d-12h", "-1d", "+1d", "-1h", "12h1d", "1w", "1d 12h", " 1d", "1d12", "1e3d", ".5d", "1.d",
		"106752d", "106751d24h", "9999999999999999999999d", "9999999999999999999999h", "soon",
	} {
		got := duration(7)
		if err := got.UnmarshalText([]byte(text)); err == nil || got != 7 {
			t.Errorf("%q is taken for %v (%v)", text, time.Duration(got), err)
		}
	}
}

// FuzzDuration: what is accepted is not negative, and without days it is what Go's own
// parser makes of it.
func FuzzDuration(f *testing.F) {
	for _, seed := range []string{"1d12h", "30d", "1.5h", "0", "106751d23h"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var got duration
		if got.UnmarshalText([]byte(text)) != nil {
			return
		}
		plain, err := time.ParseDuration(text)
		if got < 0 || err == nil && plain != time.Duration(got) {
			t.Errorf("%q is %v; without days it is %v", text, time.Duration(got), plain)
		}
	})
}
