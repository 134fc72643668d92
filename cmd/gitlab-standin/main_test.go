package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// start runs the command until the test ends and returns its URL.
func start(t *testing.T, args ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "addr")
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		args := append([]string{"--listen", "127.0.0.1:0", "--addr-file", file}, args...)
		ended <- run(ctx, args, io.Discard, io.Discard)
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("it ended with %v", err)
		}
	})
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if url, err := os.ReadFile(file); err == nil {
			return strings.TrimSpace(string(url))
		}
	}
	t.Fatal("it never listened")
	return ""
}

func fetch(t *testing.T, method, url, token string) (int, string) {
	t.Helper()
	r, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("PRIVATE-TOKEN", token)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func TestServesTheDemo(t *testing.T) {
	url := start(t, "--token", "secret")
	const tag = "/api/v4/projects/acme%2Fshop%2Fstorefront/registry/repositories/5000003/tags/fix-typo"
	if status, body := fetch(t, http.MethodDelete, url+tag, "wrong"); status != http.StatusUnauthorized {
		t.Errorf("another token: %d %s", status, body)
	}
	line := regexp.MustCompile(`(?m)^acme/shop/storefront/web\.cache +fix-typo +cache-manifest +dead: counterpart-tag-missing$`)
	if _, world := fetch(t, http.MethodGet, url+"/-/standin/world", ""); !line.MatchString(world) {
		t.Errorf("no such line in the table:\n%s", world)
	}
	if status, body := fetch(t, http.MethodDelete, url+tag, "secret"); status != http.StatusOK {
		t.Fatalf("deletion: %d %s", status, body)
	}
	if _, world := fetch(t, http.MethodGet, url+"/-/standin/world", ""); strings.Contains(world, "fix-typo") {
		t.Errorf("the tag is still there:\n%s", world)
	}
	_, stats := fetch(t, http.MethodGet, url+"/-/standin/stats", "")
	if !strings.Contains(stats, `"total":2,`) || !strings.Contains(stats, `"changing":2,`) {
		t.Errorf("stats: %s", stats)
	}
}

func TestServesARandomWorldOfEitherRegime(t *testing.T) {
	legacy := start(t, "--world", "random", "--seed", "5", "--projects", "3", "--tags", "4", "--rate-limit", "600", "--rules", "original")
	database := start(t, "--world", "random", "--seed", "5", "--projects", "3", "--regime", "database", "--latency", "1ms")
	_, undated := fetch(t, http.MethodGet, legacy+"/-/standin/world", "")
	_, rows := fetch(t, http.MethodGet, database+"/-/standin/world", "")
	if !strings.Contains(undated, "dead: details-missing") || strings.Contains(rows, "dead: details-missing") {
		t.Errorf("legacy:\n%s\ndatabase:\n%s", undated, rows)
	}
	if status, body := fetch(t, http.MethodGet, database+"/api/v4/projects", "glpat-standin"); status != http.StatusOK {
		t.Errorf("%d %s", status, body)
	}
}

// TestServesASizedWorld: the flags reach the world, each its own part of it.
func TestServesASizedWorld(t *testing.T) {
	url := start(t, "--world", "even", "--projects", "2", "--empty-projects", "3", "--repositories", "6", "--tags", "60",
		"--dead", "0.1", "--attested", "0.05", "--protected", "0.2", "--delete-kinds", "cache-index,attested-image")
	_, world := fetch(t, http.MethodGet, url+"/-/standin/world", "")
	for what, want := range map[string]int{
		"\n": 61, "dead: counterpart-tag-missing\n": 6, "dead: undatable\n": 3, "stays: protected\n": 12,
	} {
		if got := strings.Count(world, what); got != want {
			t.Errorf("%q is there %d times, want %d", what, got, want)
		}
	}
	if _, projects := fetch(t, http.MethodGet, url+"/api/v4/projects", "glpat-standin"); strings.Count(projects, `"path_with_namespace"`) != 5 {
		t.Errorf("not five projects: %s", projects)
	}
}

func TestBadUsage(t *testing.T) {
	for args, want := range map[string]string{
		"--listen 0.0.0.0:80":       "not a loopback address",
		"--listen :8929":            "not a loopback address",
		"--listen example.com:8929": "not a loopback address",
		"--listen 127.0.0.1":        "missing port",
		"--world mars":              "neither demo, random nor even",
		"--world even --projects 9": "one of --repositories at least",
		"--world even --dead 2":     "from 0 to 1",
		"--regime cloud":            "neither legacy nor database",
		"--rules mine.yaml":         "neither default nor original",
		"--token= --tags -1":        "--token must not be empty",
		"--latency -1s":             "must not be negative",
		"--nonsense":                "not defined",
		"serve":                     "unexpected argument",
	} {
		err := run(t.Context(), strings.Fields(args), io.Discard, io.Discard)
		var stderr bytes.Buffer
		if code := exitCode(err, &stderr); code != 2 || !strings.Contains(stderr.String(), want) {
			t.Errorf("%s: exit code %d, %s", args, code, stderr.String())
		}
	}
}

func TestHelp(t *testing.T) {
	var stdout bytes.Buffer
	err := run(t.Context(), []string{"--help"}, &stdout, io.Discard)
	if !errors.Is(err, flag.ErrHelp) || exitCode(err, io.Discard) != 0 || !strings.Contains(stdout.String(), "-addr-file") {
		t.Errorf("%v\n%s", err, stdout.String())
	}
}

func TestAddressInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	err = run(t.Context(), []string{"--listen", taken.Addr().String()}, io.Discard, io.Discard)
	if code := exitCode(err, io.Discard); code != 1 || !strings.Contains(err.Error(), "-listen 127.0.0.1:0") {
		t.Errorf("exit code %d: %v", code, err)
	}
}

// TestPrintsACommand to try it with, on a line of its own, so that it can be copied whole.
func TestPrintsACommand(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	var stderr bytes.Buffer
	if err := run(ctx, []string{"--listen", "127.0.0.1:0", "--token", "secret"}, io.Discard, &stderr); err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^GITLAB_URL=http://127\.0\.0\.1:\d+ GITLAB_TOKEN=secret go run \./cmd/registry-gc --dry-run$`)
	if !line.MatchString(stderr.String()) {
		t.Errorf("%s", stderr.String())
	}
}
