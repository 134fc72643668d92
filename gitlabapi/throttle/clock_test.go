package throttle

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// TestNow: the clock that is behind counts, and no answer of the registry's.
func TestNow(t *testing.T) {
	for name, test := range map[string]struct {
		date   func(now time.Time) string
		server Server
		want   time.Duration // from our clock
	}{
		"the same":          {func(now time.Time) string { return now.Format(http.TimeFormat) }, Instance, 0},
		"ours is ahead":     {func(now time.Time) string { return now.Add(-48 * time.Hour).Format(http.TimeFormat) }, Instance, -48 * time.Hour},
		"ours is behind":    {func(now time.Time) string { return now.Add(48 * time.Hour).Format(http.TimeFormat) }, Instance, 0},
		"no date":           {func(time.Time) string { return "" }, Instance, 0},
		"something else":    {func(time.Time) string { return "yesterday" }, Instance, 0},
		"the registry says": {func(now time.Time) string { return now.Add(-48 * time.Hour).Format(http.TimeFormat) }, Registry, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := newTestClient(t, answering(http.StatusOK, "{}", "Date", test.date(time.Now().UTC())), Config{})
				if err := request(t.Context(), client, http.MethodGet, aRead, "", Request{Server: test.server}); err != nil {
					t.Fatal(err)
				}
				if got := time.Until(client.Now()); got != test.want {
					t.Errorf("%s from our clock, want %s", got, test.want)
				}
			})
		})
	}
}
