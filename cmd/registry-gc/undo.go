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

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
	"gitlab.com/registry-gc/registry-gc/internal/redact"
	"gitlab.com/registry-gc/registry-gc/pipeline"
	"gitlab.com/registry-gc/registry-gc/pipeline/plan"
)

// undoCommand returns the command that brings deleted tags back, by the journals of the runs that deleted them.
func (p *program) undoCommand() *cobra.Command {
	var wanted undoRequest
	command := &cobra.Command{
		Use:   "undo JOURNAL...",
		Short: "bring deleted tags back",
		Long: `undo brings deleted tags back, as long as the registry keeps what they pointed to: without
metadata database until the next registry-garbage-collect -m, with it for about a day. A
JOURNAL is what a run has written to the folder journal of its reports, or its log in JSON;
- is standard input. Of each tag the last deletion counts. A tag that exists is never moved, and
undo can be repeated.

The token needs the role Developer, and scope api, or read_registry and write_registry;
for a dry run read_registry will do. To learn from GitLab where the registry is it needs
read_api, too, unless REGISTRY_URL is set.`,
		Example: `  registry-gc undo --dry-run reports/journal/2026-11-26T123000Z.jsonl   # what could be brought back
  registry-gc undo reports/journal/2026-11-26T123000Z.jsonl
  registry-gc undo --repository '^acme/shop/' --tag '^v' reports/journal/*.jsonl`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("undo needs the journals of the runs that deleted, or - for standard input; registry-gc undo --help says more")
			}
			return nil
		},
		ValidArgsFunction: completeFiles,
		RunE: p.does(func(ctx context.Context, args []string) int {
			wanted.journals = args
			return p.undo(ctx, wanted)
		}),
	}
	addPattern(command.Flags(), &wanted.repository, "repository", "bring back only in repositories whose full path matches")
	addPattern(command.Flags(), &wanted.tag, "tag", "bring back only tags whose name matches")
	p.addOutput(command.Flags(), "")
	p.addQuiet(command.Flags())
	return command
}

// addPattern gives a command a flag that has a regular expression. One that is not given matches all.
func addPattern(flags *pflag.FlagSet, to **regexp.Regexp, name, is string) {
	*to = regexp.MustCompile("")
	flags.Var(&flagValue{"REGEX", func(text string) error {
		pattern, err := regexp.Compile(text)
		if *to = pattern; err != nil || text == "" || looksLikeFlag(text) {
			return usagef("--%s must be a regular expression in RE2 syntax; leave it out for all", name)
		}
		return nil
	}}, name, is+" (RE2, anywhere unless anchored)")
}

// undo brings back what was deleted, and returns the exit code.
func (p *program) undo(ctx context.Context, wanted undoRequest) int {
	settings := p.settings("undo")
	config, err := loadConfig(ctx, settings)
	var found *deletionsFound
	mistyped := mistypings(p.names, settings)
	if err == nil {
		err = config.refuseMistyped(slices.DeleteFunc(slices.Clone(mistyped), func(m mistyping) bool { return m.variable != "DRY_RUN" }), settings)
	}
	if err == nil {
		found, err = wanted.read(ctx, p.stdin, config.GitLabURL)
	}
	if stopped, ok := errors.AsType[*signalError](err); ok {
		return exitSignal + int(stopped.signal)
	}
	if err != nil {
		return refuse(redact.New(config.Token.Reveal()).Writer(p.stderr), err)
	}
	job := p.newJob(config)
	job.undoes = true
	defer job.logOutput.close(ctx)
	warnOfMistyped(job.log, mistyped)
	return config.processCode(job.undo(ctx, found))
}

// An undoRequest is what the command line of undo names.
type undoRequest struct {
	journals        []string
	repository, tag *regexp.Regexp
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
			err = fileError(name, err)
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
	summary := &undoSummary{deletionsFound: found, instance: j.config.GitLabURL, dryRun: j.config.DryRun, all: j.json}
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
	if j.json {
		err = writeJSON(&text, summary.json())
	} else {
		summary.write(&text, time.Now())
	}
	if err = errors.Join(err, j.print(text.Bytes())); err != nil && code == exitDone {
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
