package gitlabapi

import (
	"errors"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
	"strings"
	"testing"
)

// TestNamesThatNoTagCanHave are never sent: in a path they could name something else,
// such as the repository itself.
func TestNamesThatNoTagCanHave(t *testing.T) {
	network, requests := serving(t, pageOfTags{nil, nil})
	client := newTestClient(t, network, Config{})
	for _, name := range []string{"", ".", "..", "a/b", "a%2Fb", "-a", "a b", "a\n", "a?x=1", "a#", "ä", strings.Repeat("a", 129)} {
		if _, err := client.TagDetails(t.Context(), somewhere, name); !isFormatError(err) {
			t.Errorf("TagDetails(%q): %v", name, err)
		}
		if err := client.DeleteTag(t.Context(), t.Context(), somewhere, name); !isFormatError(err) {
			t.Errorf("DeleteTag(%q): %v", name, err)
		}
	}
	if *requests > 0 {
		t.Errorf("%d requests were sent", *requests)
	}
}

func isFormatError(err error) bool {
	_, ok := errors.AsType[*throttle.FormatError](err)
	return ok
}

// TestZeroDate: a date that cannot be one is no lack of a date, for which a cache could
// go.
func TestZeroDate(t *testing.T) {
	zero := `{"name":"x","created_at":"0001-01-01T00:00:00Z"}`
	client := newTestClient(t, answering(200, zero, "Content-Type", "application/json"), Config{})
	if details, err := client.TagDetails(t.Context(), somewhere, "x"); !isFormatError(err) {
		t.Errorf("got %+v, %v", details, err)
	}
}
