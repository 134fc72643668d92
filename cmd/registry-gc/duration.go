package main

import (
	"errors"
	"regexp"
	"strings"
	"time"
)

// A duration is a length of time as a variable holds it: as [time.ParseDuration] reads it,
// with days before the rest, such as 30d or 1d12h, and without a sign.
type duration time.Duration

var (
	durationLike     = regexp.MustCompile(`^(?:([0-9]+(?:\.[0-9]+)?)d)?((?:[0-9]+(?:\.[0-9]+)?(?:ns|us|µs|ms|s|m|h))*)$`)
	errNoDuration    = errors.New("no length of time")
	errDurationRange = errors.New("longer than can be counted")
)

// UnmarshalText implements [encoding.TextUnmarshaler].
func (d *duration) UnmarshalText(text []byte) error {
	match := durationLike.FindStringSubmatch(string(text))
	switch {
	case strings.Trim(string(text), "0") == "" && len(text) > 0: // needs no unit
		*d = 0
		return nil
	case len(text) == 0 || match == nil:
		return errNoDuration
	}
	// A day is read as an hour, so that one function counts both.
	days, rest := "0"+match[1]+"h", "0s"+match[2]
	whole, err := time.ParseDuration(days)
	if err != nil {
		return err
	}
	sum, err := time.ParseDuration(rest)
	if err != nil {
		return err
	}
	const longest = time.Duration(1<<63 - 1)
	if whole > (longest-sum)/24 {
		return errDurationRange
	}
	*d = duration(24*whole + sum)
	return nil
}
