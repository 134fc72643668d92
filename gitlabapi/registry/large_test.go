package registry

import (
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

// listOf is a registry whose lists have so many tags of long names, all at once.
func listOf(n int) *fakeRegistry {
	var list strings.Builder
	list.WriteString(`{"name":"group/app","tags":[`)
	for i := range n {
		if i > 0 {
			list.WriteByte(',')
		}
		fmt.Fprintf(&list, `"%s-%07d"`, strings.Repeat("x", 30), i)
	}
	list.WriteString(`]}`)
	return &fakeRegistry{serve: always(200, list.String())}
}

// TestLargeListsAreGotOneAtATime: what comes at once for each of the requests in flight is not in memory
// together, whatever a registry sends.
func TestLargeListsAreGotOneAtATime(t *testing.T) {
	const lists, mostMiB = 8, 100
	h := listOf(200_000) // 8 MiB
	r := h.connect(t, throttle.Config{Concurrency: lists})
	defer debug.SetGCPercent(debug.SetGCPercent(20))
	done, peak := make(chan struct{}), make(chan uint64)
	go func() {
		var most uint64
		for {
			var stats runtime.MemStats
			runtime.ReadMemStats(&stats)
			most = max(most, stats.HeapAlloc)
			select {
			case <-done:
				peak <- most
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	}()
	var calls sync.WaitGroup
	for range lists {
		calls.Go(func() {
			if tags, err := r.Tags(t.Context(), "group/app"); err != nil || len(tags) != 200_000 {
				t.Errorf("%d tags, %v", len(tags), err)
			}
		})
	}
	calls.Wait()
	close(done)
	most := <-peak >> 20
	t.Logf("%d MiB", most)
	if most > mostMiB {
		t.Errorf("%d lists of 8 MiB took %d MiB, want at most %d", lists, most, mostMiB)
	}
	asked := 0
	for _, request := range h.requests() {
		if strings.HasSuffix(request, "/tags/list?n=1000") {
			asked++
		}
	}
	if asked != 2*lists {
		t.Errorf("%d requests for lists", asked)
	}
}

// TestSmallListsAreAskedForOnce: what all but a few repositories have costs no second request.
func TestSmallListsAreAskedForOnce(t *testing.T) {
	h := listOf(20_000)
	if tags, err := h.connect(t, throttle.Config{}).Tags(t.Context(), "group/app"); err != nil || len(tags) != 20_000 {
		t.Errorf("%d tags, %v", len(tags), err)
	}
	if n := len(h.requests()); n != 3 {
		t.Errorf("%d requests: %q", n, h.requests())
	}
}

// TestListsWithoutEnd are given up: pages that go on for ever, each with something new, and more tags than
// a registry has.
func TestListsWithoutEnd(t *testing.T) {
	page := 0
	endless := wire(func(req *http.Request) (*http.Response, error) {
		if req.URL.Path == "/v2/" {
			return reply(req, 200, "{}"), nil
		}
		page++
		return reply(req, 200, fmt.Sprintf(`[{"name":"t%d","digest":"sha256:%064d"}]`, page, page),
			"Link", fmt.Sprintf(`<https://registry.example%s?last=t%d>; rel="next"`, req.URL.EscapedPath(), page)), nil
	})
	r, err := New(newTestClient(t, endless, throttle.Config{}), "registry.example")
	if err != nil {
		t.Fatal(err)
	}
	for _, err = range r.TagRows(t.Context(), "group/app", "") {
	}
	if _, ok := errors.AsType[*throttle.ListingError](err); !ok || page > maxPages+1 {
		t.Errorf("after %d pages: %v", page, err)
	}
	h := &fakeRegistry{serve: always(200, `{"name":"group/app","tags":["a"`+strings.Repeat(`,"b"`, maxTags)+`]}`)}
	if tags, err := h.connect(t, throttle.Config{}).Tags(t.Context(), "group/app"); err == nil {
		t.Errorf("%d tags", len(tags))
	}
}
