package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/pipeline/plan"
)

// shortExit keeps a program with the race detector from sleeping for a second whenever it ends, in which
// goroutines that are left could still race.
const shortExit = "GORACE=atexit_sleep_ms=50"

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"registry-gc": main})
}

// TestScripts runs the whole program against the stand-in. The scripts have these
// commands of their own:
//
//	standin SCENARIO        starts a stand-in, sets GITLAB_URL and GITLAB_TOKEN, and ADDRESS, which is
//	                        the former without scheme
//	pushgateway HOW         starts a Pushgateway that accepts, refuses or hangs, and sets
//	                        PUSHGATEWAY_URL; what it is sent goes to the file pushed
//	exits CODE ARG…         runs registry-gc and wants that exit code
//	signal NAME… CODE       runs registry-gc, sends it the signals, in this order, once
//	                        it deletes, and wants that exit code
//	mergerequest            makes runs jobs of the stand-in's merge request
//	notes N FILE            wants that many requests about notes so far, and writes the notes of the
//	                        merge request to a file, each behind a line with its author
//	deleted N               wants that many tags deleted, and none that is alive
//	reported FILE           wants that the file has a line for each tag deleted, of which
//	                        there is one at least and none that is alive
//	recorded FILE…          wants that journals have a line with a digest for each tag deleted
//	replace OLD NEW FILE    replaces a text in a file, where it must be
//	changing N              wants that many requests that could change anything
//	journal FILE            moves the journal of the only run in reports to a file
//	there N                 wants that many tags in the registry
//	push REPOSITORY TAG     pushes a tag of the project acme/shop/storefront
//	collect                 removes from the registry what no tag needs
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Vars = append(env.Vars, shortExit)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"standin":      standin,
			"pushgateway":  pushgateway,
			"exits":        exits,
			"signal":       signalled,
			"mergerequest": mergeRequestJob,
			"notes":        takeNotes,
			"deleted":      wantDeleted,
			"changing":     wantChanging,
			"reported":     wantReported,
			"journal":      takeJournal,
			"there":        wantThere,
			"push":         push,
			"collect":      func(ts *testscript.TestScript, _ bool, _ []string) { serverOf(ts).CollectGarbage() },
			"recorded":     wantRecorded,
			"replace":      replace,
		},
	})
}

// servers holds the stand-in of each script that is running.
var servers sync.Map

// scenarios are the stand-ins that scripts can start.
var scenarios = map[string]func() *gitlabtest.Server{
	"demo": func() *gitlabtest.Server { return gitlabtest.New(gitlabtest.DemoWorld()) },
	"database": func() *gitlabtest.Server {
		world := gitlabtest.DemoWorld()
		world.Regime = gitlabtest.Database
		return gitlabtest.New(world)
	},
	"read-only": func() *gitlabtest.Server {
		return gitlabtest.New(gitlabtest.DemoWorld(), gitlabtest.WithToken(gitlabtest.DefaultToken, "read_api"))
	},
	"read-only-registry": func() *gitlabtest.Server {
		return gitlabtest.New(gitlabtest.DemoWorld(), gitlabtest.WithToken(gitlabtest.DefaultToken, "read_api", "read_registry"))
	},
	"no-scope": func() *gitlabtest.Server {
		return gitlabtest.New(gitlabtest.DemoWorld(), gitlabtest.WithToken(gitlabtest.DefaultToken, "read_registry"))
	},
	"protected-later": func() *gitlabtest.Server {
		return faulty(gitlabtest.Fault{Method: "PUT", Path: regexp.MustCompile(`/manifests/feature-banner$`),
			Effect: gitlabtest.Reply(401, `{"errors":[{"code":"PROTECTED_TAG","message":"m \u001b[31m `+gitlabtest.DefaultToken+`"}]}`)})
	},
	"revoked-later": func() *gitlabtest.Server { return faulty(gitlabtest.Fault{Skip: 20, Effect: gitlabtest.Status(401)}) },
	"html":          func() *gitlabtest.Server { return faulty(gitlabtest.Fault{Effect: gitlabtest.HTML()}) },
	"failing":       func() *gitlabtest.Server { return faulty(gitlabtest.Fault{Effect: gitlabtest.Status(502)}) },
	"forbidden": func() *gitlabtest.Server {
		return faulty(gitlabtest.Fault{Path: regexp.MustCompile(`/(projects|graphql)$`), Effect: gitlabtest.Refuse(403)})
	},
	"redirect": func() *gitlabtest.Server {
		return faulty(gitlabtest.Fault{Effect: gitlabtest.Redirect("https://elsewhere.example/sign_in")})
	},
	"outage": func() *gitlabtest.Server {
		return faulty(gitlabtest.Fault{Path: regexp.MustCompile(`/tags/`), Effect: gitlabtest.RegistryOutage()})
	},
	"some-unreadable": func() *gitlabtest.Server {
		return faulty(gitlabtest.Fault{Path: regexp.MustCompile(`/tags/build-1$`), Effect: gitlabtest.Refuse(400)})
	},
	"unreadable-manifest": func() *gitlabtest.Server {
		return faulty(gitlabtest.Fault{Path: regexp.MustCompile(`/manifests/feature-banner$`),
			Effect: gitlabtest.Reply(400, `{"errors":[{"code":"ODD","message":"bad \u001b[31m header: `+gitlabtest.DefaultToken+`"}]}`)})
	},
	"slow-deletions": func() *gitlabtest.Server {
		return gitlabtest.New(gitlabtest.DemoWorld(), gitlabtest.WithoutGraphQL(), // one deletion a request
			gitlabtest.WithFaults(deletions(gitlabtest.Latency(300*time.Millisecond))...))
	},
	"stuck-deletions": func() *gitlabtest.Server {
		return faulty(deletions(gitlabtest.Latency(time.Minute))...)
	},
	"others-notes": func() *gitlabtest.Server {
		world := gitlabtest.DemoWorld()
		on := &world.Project(noted).MergeRequests[0]
		on.Notes = append(on.Notes,
			gitlabtest.Note{Author: "grace", Body: noteMarker + "\n\nwritten by somebody else"},
			gitlabtest.Note{Author: gitlabtest.TokenUser, Body: "<!-- registry-gc: other -->\n\nof another job"},
			gitlabtest.Note{Author: gitlabtest.TokenUser, Body: "quoted:\n" + noteMarker})
		return gitlabtest.New(world, gitlabtest.WithRole(gitlabtest.Maintainer)) // which may change the notes of others
	},
	"lost-note": func() *gitlabtest.Server {
		return faulty(gitlabtest.Fault{Method: "POST", Path: notesPath, Count: 1, Effect: gitlabtest.CutBody()})
	},
	"failing-notes": func() *gitlabtest.Server {
		world := gitlabtest.DemoWorld()
		charts := world.Project("acme/platform/charts").Repository("app")
		return gitlabtest.New(world, gitlabtest.WithFaults(
			gitlabtest.Fault{Path: regexp.MustCompile(fmt.Sprintf(`/%d/tags$`, charts.ID)), Effect: gitlabtest.Refuse(403)},
			gitlabtest.Fault{Method: "POST", Path: notesPath, Effect: gitlabtest.Reply(500, `{"message":"no \u001b[31m `+gitlabtest.DefaultToken+`"}`)}))
	},
	"hanging-notes": func() *gitlabtest.Server {
		return faulty(gitlabtest.Fault{Path: notesPath, Effect: gitlabtest.Latency(time.Minute)})
	},
	"repository-forbidden": func() *gitlabtest.Server {
		world := gitlabtest.DemoWorld()
		charts := world.Project("acme/platform/charts").Repository("app")
		return gitlabtest.New(world, gitlabtest.WithFaults(gitlabtest.Fault{
			Path: regexp.MustCompile(fmt.Sprintf(`/%d/tags$`, charts.ID)), Effect: gitlabtest.Refuse(403)}))
	},
	"deletions-forbidden": func() *gitlabtest.Server {
		return gitlabtest.New(gitlabtest.DemoWorld(), gitlabtest.WithProtectedTags(regexp.MustCompile("")))
	},
	"endless": func() *gitlabtest.Server {
		return faulty(gitlabtest.Fault{Path: regexp.MustCompile(`/(tags|manifests)/[^/]+$`), Effect: gitlabtest.Latency(time.Hour)})
	},
	"echo": func() *gitlabtest.Server {
		return faulty(
			gitlabtest.Fault{Operation: "mutation", Effect: gitlabtest.GraphQLErrors("bad header PRIVATE-TOKEN: " + gitlabtest.DefaultToken)},
			gitlabtest.Fault{Path: regexp.MustCompile(`/tags/build-`),
				Effect: gitlabtest.Reply(400, `{"message":"bad header PRIVATE-TOKEN: `+gitlabtest.DefaultToken+`"}`)})
	},
	"hostile-names": func() *gitlabtest.Server {
		world := gitlabtest.DemoWorld()
		charts := world.Project("acme/platform/charts").Repository("app")
		return gitlabtest.New(world, gitlabtest.WithFaults(gitlabtest.Fault{
			Path:   regexp.MustCompile(fmt.Sprintf(`/%d/tags$`, charts.ID)),
			Effect: gitlabtest.Reply(200, `[{"name":"evil\u001b[31m\nlevel=ERROR <script>"}]`),
		}))
	},
}

// noted is the project of the merge request, and noteMarker the first line of the note of the job that
// mergeRequestJob makes.
const (
	noted      = "acme/docs"
	noteMarker = "<!-- registry-gc: dry run: a b-1.x_y a8addb20 -->"
)

var notesPath = regexp.MustCompile(`/merge_requests/[0-9]+/notes`)

// deletions strikes deletions in every form.
func deletions(effect gitlabtest.Effect) []gitlabtest.Fault {
	return []gitlabtest.Fault{{Method: "DELETE", Effect: effect}, {Operation: "mutation", Effect: effect}}
}

func faulty(faults ...gitlabtest.Fault) *gitlabtest.Server {
	return gitlabtest.New(gitlabtest.DemoWorld(), gitlabtest.WithFaults(faults...))
}

func standin(ts *testscript.TestScript, neg bool, args []string) {
	scenario, ok := scenarios[args[0]]
	if neg || !ok {
		ts.Fatalf("usage: standin SCENARIO")
	}
	server := scenario()
	listener := httptest.NewServer(server)
	ts.Defer(listener.Close)
	servers.Store(ts, server)
	ts.Defer(func() { servers.Delete(ts) })
	ts.Setenv("GITLAB_URL", listener.URL)
	ts.Setenv("ADDRESS", strings.TrimPrefix(listener.URL, "http://"))
	ts.Setenv("GITLAB_TOKEN", gitlabtest.DefaultToken)
	ts.Setenv("RATE_LIMIT", "0")
}

// gateways are the Pushgateways that scripts can start. The one that refuses repeats what
// it should not, and the one that hangs does so until its client gives up.
var gateways = map[string]http.HandlerFunc{
	"accepts": func(http.ResponseWriter, *http.Request) {},
	"refuses": func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "no "+r.Header.Get("Authorization")+" pusher s3cret", http.StatusInternalServerError)
	},
	"hangs": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
}

func pushgateway(ts *testscript.TestScript, neg bool, args []string) {
	answer, ok := gateways[args[0]]
	if neg || !ok {
		ts.Fatalf("usage: pushgateway accepts|refuses|hangs")
	}
	file := ts.MkAbs("pushed")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		user, password, _ := r.BasicAuth()
		head := fmt.Sprintf("%s %s %s:%s\n", r.Method, r.URL.Path, user, password)
		if err == nil {
			err = os.WriteFile(file, append([]byte(head), body...), 0o644)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInsufficientStorage)
			return
		}
		answer(w, r)
	}))
	ts.Defer(server.Close)
	ts.Setenv("PUSHGATEWAY_URL", strings.Replace(server.URL, "://", "://pusher:s3cret@", 1))
}

func mergeRequestJob(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Setenv("GITLAB_CI", "true")
	ts.Setenv("CI_SERVER_URL", ts.Getenv("GITLAB_URL"))
	ts.Setenv("CI_JOB_NAME", "dry run: [a, b-1.x_y] <!-->")
	ts.Setenv("CI_MERGE_REQUEST_IID", strconv.Itoa(gitlabtest.DemoMergeRequest))
	ts.Setenv("CI_MERGE_REQUEST_PROJECT_ID", fmt.Sprint(gitlabtest.DemoWorld().Project(noted).ID))
	ts.Setenv("CI_PROJECT_ID", "1") // of the fork that the merge request comes from
}

func takeNotes(ts *testscript.TestScript, _ bool, args []string) {
	asked := 0
	for endpoint, n := range serverOf(ts).Stats().ByEndpoint {
		if strings.Contains(endpoint, "/notes") {
			asked += n
		}
	}
	if strconv.Itoa(asked) != args[0] {
		ts.Fatalf("%d requests about notes, want %s", asked, args[0])
	}
	var text strings.Builder
	for _, note := range serverOf(ts).Notes(noted, gitlabtest.DemoMergeRequest) {
		fmt.Fprintf(&text, "== %s\n%s\n", note.Author, note.Body)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text.String()), 0o644))
	noViolations(ts)
}

func serverOf(ts *testscript.TestScript) *gitlabtest.Server {
	server, ok := servers.Load(ts)
	if !ok {
		ts.Fatalf("no stand-in was started")
	}
	return server.(*gitlabtest.Server)
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: exits CODE ARG...")
	}
	checkCode(ts, args[0], ts.Exec("registry-gc", args[1:]...))
}

func checkCode(ts *testscript.TestScript, want string, err error) {
	code := 0
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		code = failed.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if strconv.Itoa(code) != want {
		ts.Fatalf("exit code %d, want %s", code, want)
	}
}

func signalled(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]syscall.Signal{"HUP": syscall.SIGHUP, "INT": syscall.SIGINT, "TERM": syscall.SIGTERM}
	if neg || len(args) < 2 {
		ts.Fatalf("usage: signal HUP|INT|TERM... CODE")
	}
	sent, want := args[:len(args)-1], args[len(args)-1]
	var stdout, stderr strings.Builder
	path, err := exec.LookPath(filepath.Join(strings.Split(ts.Getenv("PATH"), string(os.PathListSeparator))[0], "registry-gc"))
	ts.Check(err)
	command := exec.Command(path)
	command.Dir = ts.Getenv("WORK")
	command.Env = []string{shortExit}
	for _, name := range []string{"GITLAB_URL", "GITLAB_TOKEN", "RATE_LIMIT", "REPORT_DIR", "CONCURRENCY", "PUSHGATEWAY_URL", "PATH",
		"MERGE_REQUEST_NOTE", "GITLAB_CI", "CI_SERVER_URL", "CI_MERGE_REQUEST_IID", "CI_MERGE_REQUEST_PROJECT_ID"} {
		command.Env = append(command.Env, name+"="+ts.Getenv(name))
	}
	command.Stdout, command.Stderr = &stdout, &stderr
	ts.Check(command.Start())
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	for serverOf(ts).Stats().Changing == 0 {
		select {
		case err := <-ended:
			ts.Fatalf("ended before it deleted anything: %v\n%s", err, stderr.String())
		case <-time.After(time.Millisecond):
		}
	}
	for i, name := range sent {
		signal, ok := signals[name]
		if !ok {
			ts.Fatalf("no signal %q", name)
		}
		if i > 0 {
			time.Sleep(100 * time.Millisecond) // two that are pending at once may arrive in any order
		}
		ts.Check(command.Process.Signal(signal))
	}
	err = <-ended
	ts.Check(os.WriteFile(ts.MkAbs("stdout"), []byte(stdout.String()), 0o644))
	ts.Check(os.WriteFile(ts.MkAbs("stderr"), []byte(stderr.String()), 0o644))
	checkCode(ts, want, err)
}

func wantDeleted(ts *testscript.TestScript, _ bool, args []string) {
	if n := len(onlyDead(ts)); strconv.Itoa(n) != args[0] {
		ts.Fatalf("%d tags were deleted, want %s", n, args[0])
	}
	noViolations(ts)
}

func wantReported(ts *testscript.TestScript, _ bool, args []string) {
	gone := onlyDead(ts)
	lines := ts.ReadFile(args[0])
	if n := strings.Count(lines, `"outcome":"deleted"`); n != len(gone) || n == 0 {
		ts.Fatalf("%d tags were deleted and %d are reported", len(gone), n)
	}
	for _, tag := range gone {
		if !strings.Contains(lines, `"tag":"`+tag.Tag+`"`) {
			ts.Fatalf("%s was deleted and is not reported", tag)
		}
	}
}

func wantRecorded(ts *testscript.TestScript, _ bool, args []string) {
	recorded := make(map[string]bool)
	for _, pattern := range args {
		files, err := filepath.Glob(ts.MkAbs(pattern))
		ts.Check(err)
		if pattern == "stderr" {
			files = []string{pattern}
		}
		for _, name := range files {
			_, _, err := plan.ReadJournal(strings.NewReader(ts.ReadFile(name)), func(r plan.Record) {
				if r.Event == plan.Deleting && r.Digest != "" {
					recorded[r.Repository+":"+r.Tag] = true
				}
			})
			ts.Check(err)
		}
	}
	gone := onlyDead(ts)
	for _, tag := range gone {
		if !recorded[tag.String()] {
			ts.Fatalf("%s was deleted, and no journal has it", tag)
		}
	}
	if len(gone) == 0 {
		ts.Fatalf("nothing was deleted")
	}
}

func replace(ts *testscript.TestScript, _ bool, args []string) {
	text := ts.ReadFile(args[2])
	if !strings.Contains(text, args[0]) {
		ts.Fatalf("%s has no %q", args[2], args[0])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(strings.Replace(text, args[0], args[1], 1)), 0o644))
}

// onlyDead returns the tags that were deleted, none of which may be alive.
func onlyDead(ts *testscript.TestScript) []gitlabtest.TagState {
	gone := serverOf(ts).Deleted()
	for _, tag := range gone {
		if tag.Dead == "" {
			ts.Fatalf("%s was deleted and is alive", tag)
		}
	}
	return gone
}

func wantChanging(ts *testscript.TestScript, _ bool, args []string) {
	stats := serverOf(ts).Stats()
	if fmt.Sprint(stats.Changing) != args[0] {
		ts.Fatalf("%d requests that could change something, want %s", stats.Changing, args[0])
	}
	noViolations(ts)
}

// takeJournal moves the journal of the only run so far to a file.
func takeJournal(ts *testscript.TestScript, _ bool, args []string) {
	files, err := filepath.Glob(ts.MkAbs("reports/journal/*.jsonl"))
	ts.Check(err)
	if len(files) != 1 {
		ts.Fatalf("the journals are %q", files)
	}
	ts.Check(os.Rename(files[0], ts.MkAbs(args[0])))
}

func wantThere(ts *testscript.TestScript, _ bool, args []string) {
	if n := len(serverOf(ts).Manifests()); strconv.Itoa(n) != args[0] {
		ts.Fatalf("%d tags are there, want %s", n, args[0])
	}
	noViolations(ts)
}

func push(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(serverOf(ts).Push("acme/shop/storefront", args[0], args[1], gitlabtest.KindImage))
}

func noViolations(ts *testscript.TestScript) {
	if violations := serverOf(ts).Stats().Violations; len(violations) > 0 {
		ts.Fatalf("requests that no client of GitLab sends: %q", violations)
	}
}
