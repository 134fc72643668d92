package main

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
	"gitlab.com/registry-gc/registry-gc/pipeline"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// TestAdviceOnScope: what is likely to be wrong with a name is said behind it.
func TestAdviceOnScope(t *testing.T) {
	for _, test := range []struct{ kind, name, want string }{
		{"group", "https://gitlab.example.com/acme", "not an address"},
		{"project", "https://gitlab.example.com/acme/shop", "not an address"},
		{"group", "acme/shop/", "neither begins nor ends with /"},
		{"project", "/acme/shop", "neither begins nor ends with /"},
		{"project", "acme/shop.git", "does not end in .git"},
		{"group", "acme/shop", "it goes into GITLAB_PROJECTS"},
		{"project", "acme", "it goes into GITLAB_GROUPS"},
		{"group", "acme", "that the token can see"},
	} {
		got := advice(&pipeline.ScopeError{Kind: test.kind, Name: test.name, Err: throttle.ErrNotFound})
		if !strings.HasSuffix(got, test.want) {
			t.Errorf("%s %s: %s; want %s", test.kind, test.name, got, test.want)
		}
	}
}

// TestAdviceOnCertificates: an authority of one's own is told where it goes.
func TestAdviceOnCertificates(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	client, err := gitlabapi.New(gitlabapi.Config{URL: server.URL, Token: throttle.NewSecret("glpat-0123456789")})
	if err != nil {
		t.Fatal(err)
	}
	if got := advice(client.CheckToken(t.Context(), true)); !strings.Contains(got, "SSL_CERT_FILE") {
		t.Error(got)
	}
}

// TestExitCodeOfRefusedDeletions: that every deletion is refused is a guard's doing, and told in the
// words of whoever refused.
func TestExitCodeOfRefusedDeletions(t *testing.T) {
	summary := report.NewSummary(false)
	summary.Refused, summary.Failed = "status 503: GitLab Maintenance: system is in maintenance mode", 3
	summary.Reasons[report.DeletionsStopped] = 9760
	code := exitCode(nil, summary)
	if text := outcomeText(code, summary); code != exitGuard || !strings.Contains(text, summary.Refused) || !strings.Contains(text, "9760 tags") {
		t.Errorf("code %d: %s", code, text)
	}
	if code := exitCode(&signalError{signal: syscall.SIGTERM}, summary); code != exitSignal+int(syscall.SIGTERM) {
		t.Errorf("after a signal: code %d", code)
	}
}
