package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sethvargo/go-envconfig"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
	"gitlab.com/registry-gc/registry-gc/internal/redact"
	"gitlab.com/registry-gc/registry-gc/pipeline"
	"gitlab.com/registry-gc/registry-gc/pipeline/plan"
)

// undo is the command that brings deleted tags back, by the journals of the runs that deleted them.
func undo(ctx context.Context, args []string, environment envconfig.Lookuper, names []string, stdin io.Reader, stdout, stderr io.Writer) int {
	line, wanted, err := parseUndo(args)
	if err != nil {
		return usageError(stderr, err)
	}
	if line.help {
		return codeOf(writeUndoHelp(stdout))
	}
	settings := without{line.settings(environment), runOnly}
	config, err := loadConfig(ctx, settings)
	redactor := redact.New(config.Token.Reveal())
	var found *deletionsFound
	if err == nil {
		found, err = wanted.read(ctx, stdin, config.GitLabURL)
	}
	if stopped, ok := errors.AsType[*signalError](err); ok {
		return exitSignal + int(stopped.signal)
	}
	if err != nil {
		return usageError(redactor.Writer(stderr), err)
	}
	job := newJob(config, environment, stdout, stderr)
	job.undoes = true
	defer job.logOutput.close(ctx)
	warnOfMistyped(job.log, mistypings(names, settings))
	return job.undo(ctx, found)
}

// An undoRequest is what the command line of undo names.
type undoRequest struct {
	journals        []string
	repository, tag *regexp.Regexp
}

// parseUndo reads the command line of undo: journals, and flags before or after them.
func parseUndo(args []string) (line *commandLine, wanted undoRequest, err error) {
	line, flags := newCommandLine("registry-gc undo")
	flags.BoolFunc("dry-run", "look what could be brought back, change nothing", line.setter("DRY_RUN"))
	repository := flags.String("repository", "", "which repositories, by a regular expression")
	tag := flags.String("tag", "", "which tags, by a regular expression")
	wanted.journals, err = line.parseMixed(flags, args)
	if err != nil || line.help {
		return line, wanted, err
	}
	if wanted.repository, err = regexp.Compile(*repository); err != nil {
		return nil, wanted, errors.New("--repository must be a regular expression in RE2 syntax")
	}
	if wanted.tag, err = regexp.Compile(*tag); err != nil {
		return nil, wanted, errors.New("--tag must be a regular expression in RE2 syntax")
	}
	if len(wanted.journals) == 0 {
		err = errors.New("undo needs the journals of the runs that deleted, or - for standard input; registry-gc undo --help says more")
	}
	return line, wanted, err
}

// deletionsFound are those that journals tell of and that are to be undone.
type deletionsFound struct {
	records []plan.Record
	regime  string // of the registry, where all journals say the same
	unread  int    // lines
}

// read reads the journals, until a stop: standard input may be a terminal. An error is one of usage.
func (w undoRequest) read(ctx context.Context, stdin io.Reader, instance string) (*deletionsFound, error) {
	type result struct {
		found *deletionsFound
		err   error
	}
	read := make(chan result, 1)
	go func() {
		found, err := w.readAll(stdin, instance)
		read <- result{found, err}
	}()
	select {
	case r := <-read:
		return r.found, r.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (w undoRequest) readAll(stdin io.Reader, instance string) (*deletionsFound, error) {
	var deletions pipeline.Deletions
	var regimes []string
	var problems []error
	found := new(deletionsFound)
	for _, name := range w.journals {
		records := 0
		header, unread, err := readJournal(name, stdin, func(r plan.Record) {
			records++
			deletions.Add(r)
		})
		found.unread += unread
		regimes = append(regimes, header.Regime)
		switch {
		case err != nil:
			err = fmt.Errorf("%s: %w", name, err)
		case header.Instance != "" && !sameInstance(header.Instance, instance):
			err = fmt.Errorf("%s is the journal of another instance, %q; GITLAB_URL is %q", name, header.Instance, instance)
		case records == 0:
			err = fmt.Errorf("%s tells of no deletion: it is no journal, nor a log of a run that deleted without REPORT_DIR; with it the journal is in its folder %s", name, plan.FolderName)
		}
		problems = append(problems, err)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	if slices.Sort(regimes); len(slices.Compact(regimes)) == 1 {
		found.regime = regimes[0]
	}
	if found.records = deletions.Select(w.repository, w.tag); len(found.records) == 0 {
		return nil, errors.New("no deletion in the journals matches --repository and --tag")
	}
	return found, nil
}

// readJournal reads one journal from a file, or from standard input where that is called -.
func readJournal(name string, stdin io.Reader, do func(plan.Record)) (plan.JournalHeader, int, error) {
	if name == "-" {
		return plan.ReadJournal(stdin, do)
	}
	file, err := os.Open(name)
	if err != nil {
		if failed, ok := errors.AsType[*os.PathError](err); ok {
			err = failed.Err // its name is said by the caller
		}
		return plan.JournalHeader{}, 0, err
	}
	defer file.Close() // only read
	return plan.ReadJournal(file, do)
}

// sameInstance reports whether two addresses are those of one instance.
func sameInstance(a, b string) bool {
	x, errX := throttle.ParseURL(a)
	y, errY := throttle.ParseURL(b)
	return errX == nil && errY == nil && x.Scheme == y.Scheme && strings.EqualFold(x.Host, y.Host) && x.Path == y.Path
}

// undo brings the tags back and prints what became of them.
func (j *job) undo(ctx context.Context, found *deletionsFound) int {
	intent := "starting: deleted tags will be brought back"
	if j.config.DryRun {
		intent = "starting a dry run: nothing will be changed"
	}
	j.log.Info(intent, "version", version, "gitlab_url", j.config.GitLabURL, "tags", len(found.records), "dry_run", j.config.DryRun)
	if found.unread > 0 {
		j.log.Warn("lines of the journals cannot be read; the last one of a run that was killed may be cut off", "lines", found.unread)
	}
	client, err := j.connect(ctx, func(c *gitlabapi.Client) error { return c.CheckRegistryToken(ctx, !j.config.DryRun) })
	if err != nil {
		return j.endOfUndo(err, nil)
	}
	summary := &undoSummary{deletionsFound: found, instance: j.config.GitLabURL, dryRun: j.config.DryRun}
	progress := new(pipeline.Progress)
	stopProgress := j.showProgress(ctx, progress, client)
	err = pipeline.Undo(ctx, client, found.records, pipeline.UndoOptions{
		DryRun: j.config.DryRun, Workers: j.config.Concurrency, RegistryURL: j.config.RegistryURL, Progress: progress,
	}, func(r pipeline.Restoration) error {
		j.logRestoration(r)
		summary.add(r)
		return nil
	})
	stopProgress()
	code := j.endOfUndo(err, summary)
	j.logOutput.flush(ctx)
	var text bytes.Buffer
	summary.write(&text, time.Now())
	if err := j.print(text.Bytes()); err != nil && code == exitDone {
		return exitError
	}
	return code
}

// logRestoration logs what became of a tag. That it was not reached says the summary of all of them.
func (j *job) logRestoration(r pipeline.Restoration) {
	attrs := []any{"repository", r.Repository, "tag", r.Tag, "digest", r.Digest}
	if r.Now != "" {
		attrs = append(attrs, "now", r.Now)
	}
	if r.Err != nil {
		attrs = append(attrs, "detail", r.Err.Error())
	}
	switch r.Outcome {
	case pipeline.Restored:
		text := "tag restored"
		if j.config.DryRun {
			text = "tag would be restored"
		}
		j.log.Info(text, attrs...)
	case pipeline.ThereAlready:
		j.log.Debug("tag is there already", attrs...)
	case pipeline.NotReached:
		j.log.Debug("tag not reached", attrs...)
	default:
		j.log.Warn("tag not restored", append(attrs, "outcome", string(r.Outcome))...)
	}
}

// endOfUndo logs what ended an undo, and returns its exit code.
func (j *job) endOfUndo(err error, summary *undoSummary) int {
	stopped, isStopped := errors.AsType[*signalError](err)
	switch {
	case isStopped:
		j.log.Error(advice(err))
		return exitSignal + int(stopped.signal)
	case err != nil:
		j.log.Error(undoAdvice(err))
		return exitError
	case summary.incomplete():
		return exitIncomplete
	default:
		return exitDone
	}
}

// undoAdvice says what ended an undo, and what to do about it.
func undoAdvice(err error) string {
	noRegistry, outOfReach := errors.AsType[*pipeline.NoRegistryError](err)
	switch {
	case outOfReach:
		return fmt.Sprintf("the registry cannot be asked: %s: %v", registryMend(noRegistry), noRegistry.Err)
	case errors.Is(err, throttle.ErrInsufficientScope):
		return "the token lacks a scope: to bring tags back GITLAB_TOKEN needs scope api, or read_registry and write_registry " +
			"(and read_api, unless REGISTRY_URL is set); for a dry run read_registry will do in their place"
	default:
		return advice(err)
	}
}
