package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
)

// shutdownTimeout is how long requests under way may take to finish at the end.
const shutdownTimeout = 5 * time.Second

// serve serves the world that the command line asks for until ctx ends.
func serve(ctx context.Context, c config, stderr io.Writer) error {
	log := slog.New(slog.NewTextHandler(stderr, nil))
	listener, err := net.Listen("tcp", c.listen)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("listening: %w; -listen 127.0.0.1:0 picks a port that is free", err)
	case err != nil:
		return fmt.Errorf("listening: %w", err)
	}
	world := c.makeWorld()
	server := &http.Server{
		Handler:           handler(gitlabtest.New(world, c.options()...), truthOf(world, c.truthRules())),
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	url := "http://" + listener.Addr().String()
	if err := writeURL(c.addrFile, url); err != nil {
		_ = listener.Close()
		return err
	}
	// The program may not be built yet, and is on nobody's PATH then.
	log.Info("serving until it is interrupted", "url", url, "world", c.world, "regime", c.regime)
	_, _ = fmt.Fprintf(stderr, "\nTo try it in another terminal:\n\nGITLAB_URL=%s GITLAB_TOKEN=%s go run ./cmd/registry-gc --dry-run\n\n", url, c.token)
	defer log.Info("stopped")
	return serveUntil(ctx, server, listener)
}

// serveUntil serves until ctx ends, and then lets requests under way finish.
func serveUntil(ctx context.Context, server *http.Server, listener net.Listener) error {
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
	}
	// ctx is over; stopping in good order needs time of its own.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	err := server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return server.Close()
	}
	return err
}

// writeURL writes the URL to a file. It appears there whole or not at all, so
// that a script may wait for the file to exist.
func writeURL(file, url string) error {
	if file == "" {
		return nil
	}
	part := file + ".part"
	if err := os.WriteFile(part, []byte(url+"\n"), 0o644); err != nil {
		return fmt.Errorf("writing the address: %w", err)
	}
	if err := os.Rename(part, file); err != nil {
		return fmt.Errorf("writing the address: %w", err)
	}
	return nil
}

// A truth says of each tag of a world, by repository:tag, why it stays or is dead.
type truth struct{ stays, dead map[string]string }

// truthOf returns a function that judges a world when it is first called: the truth about a
// million tags takes more room than they do.
func truthOf(world *gitlabtest.World, rules gitlabtest.TruthRules) func() truth {
	return sync.OnceValue(func() truth {
		return truth{stays: world.VerdictsUnder(rules), dead: world.TruthUnder(rules)}
	})
}

func (t truth) about(tag string) string {
	if reason, dead := t.dead[tag]; dead {
		return "dead: " + reason
	}
	return "stays: " + t.stays[tag]
}

// handler adds the pages about the stand-in to the instance. A ServeMux would
// clean paths, and the instance wants them as they were sent.
func handler(instance *gitlabtest.Server, judge func() truth) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/-/standin/world":
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			writeWorld(w, instance.Remaining(), judge())
		case "/-/standin/stats":
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(instance.Stats())
		default:
			instance.ServeHTTP(w, r)
		}
	})
}

// writeWorld writes a table of tags. The client has gone away when writing
// fails, which nobody needs to know.
func writeWorld(w io.Writer, tags []gitlabtest.TagState, truth truth) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "REPOSITORY\tTAG\tKIND\tTRUTH")
	for _, t := range tags {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", t.Repository, t.Tag, t.Kind, truth.about(t.String()))
	}
	_ = table.Flush()
}
