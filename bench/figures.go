package main

import (
	"fmt"
	"regexp"
)

// atMost reads a figure that must not be greater than a limit.
func atMost(limit float64, format string, of func(measurement) float64) func(m, _ measurement) figure {
	return func(m, _ measurement) figure {
		value := of(m)
		return figure{value, fmt.Sprintf(format, value), value <= limit}
	}
}

// atLeast reads a figure that must not be smaller than a limit.
func atLeast(limit float64, format string, of func(measurement) float64) func(m, _ measurement) figure {
	return func(m, _ measurement) figure {
		value := of(m)
		return figure{value, fmt.Sprintf(format, value), value >= limit}
	}
}

// noted reads a figure that has no limit.
func noted(format string, of func(measurement) float64) func(m, _ measurement) figure {
	return func(m, _ measurement) figure {
		value := of(m)
		return figure{value, fmt.Sprintf(format, value), true}
	}
}

// residentAtMost reads the peak of the memory, which not every system tells.
func residentAtMost(mebibytes float64) func(m, _ measurement) figure {
	return func(m, beside measurement) figure {
		if m.Peak == 0 {
			return figure{text: "not known on this system"}
		}
		return atMost(mebibytes, "%.1f MiB", measurement.mebibytes)(m, beside)
	}
}

// listEndpoint matches the endpoints that give a page of a list, and not one tag or
// account. What is asked of GraphQL without changing anything are lists, too.
var listEndpoint = regexp.MustCompile(`^GET .*/(projects|repositories|tags|tags/list)/?$|^POST .*/graphql query$`)

// listings counts the requests that read a page of a list.
func listings(m measurement) int {
	n := 0
	for endpoint, count := range m.ByEndpoint {
		if listEndpoint.MatchString(endpoint) {
			n += count
		}
	}
	return n
}

func perTag(requests, tags int) float64 { return float64(requests) / float64(max(tags, 1)) }

func requestsADeletion(m measurement) float64 { return perTag(m.requests(), m.Deleted) }

func (m measurement) microseconds() float64 { return m.Processor * 1e6 / float64(max(m.Tags, 1)) }

func (m measurement) mebibytes() float64 { return float64(m.Peak) / (1 << 20) }
