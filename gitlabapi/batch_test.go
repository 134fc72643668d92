package gitlabapi

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

// TestHowManyGoIntoARequest pins how a number falls, and how it comes back.
func TestHowManyGoIntoARequest(t *testing.T) {
	complex, outage, slow := error(&GraphQLError{tooComplex: true}), error(&throttle.StatusError{Status: 503}), error(&throttle.TimeoutError{After: time.Second})
	type told struct {
		asked int
		err   error
		size  int // afterwards
	}
	for name, test := range map[string][]told{
		"a failure":                        {{10, outage, 5}, {5, nil, 7}, {7, nil, 10}, {10, nil, 10}},
		"a failure of two":                 {{2, outage, 1}, {1, nil, 2}, {2, nil, 3}, {3, nil, 4}, {4, nil, 6}, {6, nil, 9}, {9, nil, 10}},
		"failures in a row are one":        {{10, slow, 5}, {5, slow, 2}, {2, slow, 1}, {1, slow, 1}, {1, nil, 2}, {2, nil, 3}},
		"failures at the same time, too":   {{10, slow, 5}, {10, slow, 5}, {5, nil, 7}},
		"each that comes back takes twice": {{10, slow, 5}, {5, nil, 7}, {7, slow, 3}, {3, nil, 3}, {3, nil, 4}, {4, slow, 2}, {2, nil, 2}, {2, nil, 2}, {2, nil, 2}, {2, nil, 3}},
		"what holds is forgotten": {{10, slow, 5}, {5, nil, 7}, {7, nil, 10}, {10, slow, 5}, {5, nil, 5}, {5, nil, 7}, {7, nil, 7}, {7, nil, 10},
			{10, nil, 10}, {10, slow, 5}, {5, nil, 7}},
		"fewer than may go show nothing": {{10, slow, 5}, {4, nil, 5}, {1, nil, 5}, {5, nil, 7}},
		"too complex for good":           {{10, complex, 5}, {5, nil, 5}, {5, slow, 2}, {2, nil, 3}, {3, nil, 4}, {4, nil, 5}, {5, nil, 5}},
		"too complex for one":            {{1, complex, 1}, {1, nil, 1}},
		"another error":                  {{10, &throttle.StatusError{Status: 401}, 10}, {10, errors.New("odd"), 10}, {10, &throttle.FormatError{}, 10}},
	} {
		b := newBatch(10, 10)
		for i, told := range test {
			if b.heard(told.asked, told.err); b.now() != told.size {
				t.Errorf("%s, %d: %d, want %d", name, i, b.now(), told.size)
				break
			}
		}
	}
}

// TestWhatAlwaysFailsIsTriedEverMoreRarely, but not never.
func TestWhatAlwaysFailsIsTriedEverMoreRarely(t *testing.T) {
	b := newBatch(2, 10)
	var between []int
	for successes := 0; len(between) < 9; {
		if b.now() == 1 {
			successes++
			b.heard(1, nil)
			continue
		}
		between = append(between, successes)
		successes = 0
		b.heard(2, &throttle.StatusError{Status: 503})
	}
	if diff := cmp.Diff([]int{0, 1, 2, 4, 8, 16, 32, 64, 64}, between); diff != "" {
		t.Errorf("successes between failures (-want +got):\n%s", diff)
	}
}

// TestACostBoundsWhatComesBack: a number that is on its way up is not taken for the most
// that fits, nor does it go beyond.
func TestACostBoundsWhatComesBack(t *testing.T) {
	b := newBatch(20, 100)
	var sizes []int
	for range 9 {
		asked := b.now()
		sizes = append(sizes, asked)
		if len(sizes) == 3 {
			b.heard(asked, &throttle.StatusError{Status: 503})
			continue
		}
		b.heard(asked, nil)
		b.cost(asked, 3*asked, 200) // 60 fit
	}
	if diff := cmp.Diff([]int{20, 30, 45, 22, 33, 45, 60, 60, 60}, sizes); diff != "" {
		t.Errorf("sizes (-want +got):\n%s", diff)
	}
}
