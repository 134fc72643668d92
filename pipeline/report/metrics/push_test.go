package metrics

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/expfmt"
)

// serve starts a Pushgateway and returns it as a run knows it, with user and password.
func serve(t *testing.T, handler http.HandlerFunc) *Gateway {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	gateway, err := ParseGateway(strings.Replace(server.URL, "://", "://pusher:s3cret@", 1) + "/prefix/")
	if err != nil {
		t.Fatal(err)
	}
	gateway.Instance = "gitlab.example.com"
	return gateway
}

// TestPush: one PUT replaces the metrics of the run's own group, and is the same that
// the file says.
func TestPush(t *testing.T) {
	var requests []string
	var pushed []byte
	gateway := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		requests = append(requests, r.Method+" "+r.URL.Path+" "+user+":"+password)
		if expfmt.ResponseFormat(r.Header).FormatType() != expfmt.TypeTextPlain {
			t.Errorf("the content type is %s", r.Header.Get("Content-Type"))
		}
		pushed, _ = io.ReadAll(r.Body)
	})
	if err := gateway.Push(t.Context(), run(t, false)); err != nil {
		t.Fatal(err)
	}
	want := []string{"PUT /prefix/metrics/job/registry_gc/instance/gitlab.example.com pusher:s3cret"}
	if diff := cmp.Diff(want, requests); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(string(run(t, false).Text()), string(pushed)); diff != "" {
		t.Errorf("(-file +pushed):\n%s", diff)
	}
}

// TestPushOfAPart: a run for one group has metrics of its own, and so have a shard and a dry
// run.
func TestPushOfAPart(t *testing.T) {
	var path string
	gateway := serve(t, func(_ http.ResponseWriter, r *http.Request) { path = r.URL.Path })
	gateway.Scope, gateway.Shard, gateway.DryRun = "shop", "2", true
	if err := gateway.Push(t.Context(), run(t, false)); err != nil {
		t.Fatal(err)
	}
	// Which label comes first is not settled.
	for _, label := range []string{"/scope/shop", "/shard/2", "/mode/dry-run", "/instance/gitlab.example.com"} {
		if !strings.Contains(path, label) {
			t.Errorf("pushed to %s, without %s", path, label)
		}
	}
}

// TestPushRefused: an error says what happened, and neither what the Pushgateway wrote nor
// what it was not to learn.
func TestPushRefused(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("the redirect was followed")
	}))
	defer elsewhere.Close()
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"refused": {func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, "bad \x1b[31m "+r.Header.Get("Authorization")+" s3cret\n")
		}, "it answered 400 Bad Request"},
		"redirected": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		}, "it answered 307 Temporary Redirect"},
		"broken off": {func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // what is not read makes it a reset
			panic(http.ErrAbortHandler)
		}, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			gateway := serve(t, test.handler)
			err := gateway.Push(t.Context(), run(t, false))
			if err == nil || err.Error() != "pushing metrics to "+gateway.Host()+": "+test.want {
				t.Errorf("error %v", err)
			}
		})
	}
}

// TestPushNowhere: who is not there is named without what was to be secret.
func TestPushNowhere(t *testing.T) {
	server := httptest.NewServer(nil)
	server.Close()
	gateway, err := ParseGateway(strings.Replace(server.URL, "://", "://pusher:s3cret@", 1))
	if err != nil {
		t.Fatal(err)
	}
	err = gateway.Push(t.Context(), run(t, false))
	if err == nil || strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "pusher") {
		t.Errorf("error %v", err)
	}
}

// TestPushStops: a push that hangs ends with its context, and says why.
func TestPushStops(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("the run is interrupted")
	gateway := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		cancel(why)
		<-r.Context().Done()
	})
	if err := gateway.Push(ctx, run(t, false)); !errors.Is(err, why) {
		t.Errorf("error %v", err)
	}
}

func TestParseGateway(t *testing.T) {
	for _, address := range []string{
		"http://pushgateway:9091", "https://user:password@push.example.com/prefix/", "http://[::1]:9091",
	} {
		if _, err := ParseGateway(address); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
	for _, address := range []string{
		"", "pushgateway:9091", "//pushgateway", "ftp://pushgateway", "http://", "http://:9091", "http:///metrics",
		"http://a b", "http://host:port", "http://host?x=y", "http://host?", "http://host#x", "http://user:pa%zz@host",
	} {
		if _, err := ParseGateway(address); !errors.Is(err, ErrAddress) {
			t.Errorf("%s: error %v", address, err)
		}
	}
}
