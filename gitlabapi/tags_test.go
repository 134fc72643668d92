package gitlabapi

import (
	"errors"
	"strings"
	"testing"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
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

// TestZeroDate: images that are built to be reproducible have the zero time as their date, which
// is no lack of one.
func TestZeroDate(t *testing.T) {
	for created, dated := range map[string]bool{`"0001-01-01T00:00:00Z"`: true, `"0001-01-01T00:00:00.000+00:00"`: true, "null": false} {
		client := newTestClient(t, answering(200, `{"name":"x","created_at":`+created+`}`), Config{})
		details, err := client.TagDetails(t.Context(), somewhere, "x")
		if err != nil || details.Dated != dated || !details.CreatedAt.IsZero() {
			t.Errorf("created_at %s: got %+v, %v", created, details, err)
		}
	}
}
