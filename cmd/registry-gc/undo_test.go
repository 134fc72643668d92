package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sethvargo/go-envconfig"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/pipeline/plan"
)

// TestUndoInterrupted: a signal ends an undo in good order, also while it waits for standard input. What
// was under way is finished and counted, and the rest is counted as not reached.
func TestUndoInterrupted(t *testing.T) {
	const tags = 30
	world := gitlabtest.NewWorld(gitlabtest.Legacy)
	app := world.AddProject("g/p").AddRepository("app")
	for i := range tags {
		app.AddTag(fmt.Sprint("t", i), gitlabtest.KindCacheManifest)
	}
	server := gitlabtest.New(world, gitlabtest.WithFaults(gitlabtest.Fault{Method: http.MethodPut, Effect: gitlabtest.Latency(50 * time.Millisecond)}))
	var journal bytes.Buffer
	for name, text := range server.Manifests() {
		_, tag, _ := strings.Cut(name, ":")
		line, err := json.Marshal(plan.Record{Time: time.Now(), Event: plan.Deleted, Entry: plan.Entry{
			Project: "g/p", ProjectID: app.Project().ID, Repository: "g/p/app", RepositoryID: app.ID, Tag: tag, Digest: fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(text))),
		}})
		if err != nil || server.Remove("g/p", "app", tag) != nil {
			t.Fatal(err)
		}
		journal.Write(append(line, '\n'))
	}
	file := filepath.Join(t.TempDir(), "journal.jsonl")
	if err := os.WriteFile(file, journal.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	environment := envconfig.MapLookuper(map[string]string{
		"GITLAB_URL": listen(t, server), "GITLAB_TOKEN": gitlabtest.DefaultToken, "CONCURRENCY": "2", "RATE_LIMIT": "0",
	})
	ctx, stop := context.WithCancelCause(t.Context())
	var pushes atomic.Int32
	server.OnRequest(func(r gitlabtest.Request) {
		if r.Method == http.MethodPut && pushes.Add(1) == 5 {
			stop(&signalError{syscall.SIGINT})
		}
	})
	var stdout, stderr bytes.Buffer
	code := run(ctx, []string{"undo", file}, environment, nil, nil, &stdout, &stderr)
	there := len(server.Manifests())
	want := regexp.MustCompile(fmt.Sprintf(`(?s)^Undo of %d deletions.*\n  restored +%d\n.*\n  not reached +%d\n`, tags, there, tags-there))
	if code != exitSignal+int(syscall.SIGINT) || !want.MatchString(stdout.String()) || there < 5 || there == tags {
		t.Errorf("code %d, %d are there:\n%s%s", code, there, &stdout, &stderr)
	}
	waiting, end, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	code = run(ctx, []string{"undo", "-"}, environment, nil, waiting, &stdout, &stderr)
	if err := end.Close(); err != nil || code != exitSignal+int(syscall.SIGINT) {
		t.Errorf("code %d, %v", code, err)
	}
}
