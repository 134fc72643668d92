package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
	"gitlab.com/registry-gc/registry-gc/pipeline/report/metrics"
)

// pushJob returns a job that pushes to a server, and its log.
func pushJob(t *testing.T, handler http.HandlerFunc) (*job, *bytes.Buffer) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	log := new(bytes.Buffer)
	return &job{
		config: &Config{
			GitLabURL:      "https://gitlab.example.com/gitlab/",
			Pushgateway:    throttle.NewSecret(server.URL),
			RequestTimeout: duration(time.Minute),
		},
		log: slog.New(slog.NewTextHandler(log, nil)),
	}, log
}

func ended() *metrics.Run {
	return &metrics.Run{Summary: report.NewSummary(false)}
}

// TestSignalEndsPush: who interrupts a job that is done but for its push does not wait for
// the push's own time limit.
func TestSignalEndsPush(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	job, log := pushJob(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		cancel(&signalError{syscall.SIGTERM})
		<-r.Context().Done()
	})
	job.pushMetrics(ctx, ended())
	if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "interrupted by SIGTERM") {
		t.Errorf("%s", log)
	}
}

// TestGroup: what tells the metrics of a run from those of others does not depend on the
// order in which the settings name its parts.
func TestGroup(t *testing.T) {
	job, _ := pushJob(t, nil)
	job.config.Groups, job.config.Projects = []string{"b", "a"}, []string{"b", "7"}
	gateway, err := job.gateway()
	if err != nil {
		t.Fatal(err)
	}
	if gateway.Instance != "gitlab.example.com/gitlab" || gateway.Scope != "7,a,b" || gateway.Shard != "" {
		t.Errorf("instance %q, scope %q, shard %q", gateway.Instance, gateway.Scope, gateway.Shard)
	}
	job.config.ShardIndex, job.config.ShardCount = 0, 3
	if gateway, err = job.gateway(); err != nil || gateway.Shard != "0" {
		t.Errorf("error %v, shard %q", err, gateway.Shard)
	}
}
