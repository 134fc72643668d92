package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/sethvargo/go-envconfig"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/internal/edits"
	"gitlab.com/registry-gc/registry-gc/internal/printable"
	"gitlab.com/registry-gc/registry-gc/internal/redact"
	"gitlab.com/registry-gc/registry-gc/pipeline"
)

// explain is the command that shows all facts of one tag, what each rule makes of them, and what
// a run would do with it. It ends with 0 whatever that is.
func explain(ctx context.Context, args []string, environment envconfig.Lookuper, names []string, stdin io.Reader, stdout, stderr io.Writer) int {
	line, reference, err := parseExplain(args)
	if err != nil {
		return usageError(stderr, err)
	}
	if line.help {
		return codeOf(writeExplainHelp(stdout))
	}
	settings := without{line.settings(environment), runOnly}
	config, err := loadConfig(ctx, settings)
	redactor := redact.New(config.Token.Reveal())
	if err != nil {
		return usageError(redactor.Writer(stderr), err)
	}
	rules, err := config.compileRules()
	inUse, inUseErr := config.readInUse(stdin)
	if err = errors.Join(err, inUseErr); err != nil {
		return usageError(redactor.Writer(stderr), err)
	}
	job := newJob(config, environment, stdout, stderr)
	job.rules, job.inUse = rules, inUse
	defer job.logOutput.close(ctx)
	warnOfMistyped(job.log, mistypings(names, settings))
	return job.explain(ctx, reference)
}

// runOnly are the variables that explain has no use for: whoever has them set for a run need
// not unset them.
var runOnly = []string{
	"REPORT_DIR", "PUSHGATEWAY_URL", "MAX_RUNTIME",
	"SHARD_INDEX", "SHARD_COUNT", "JOB_COMPLETION_INDEX", "CI_NODE_INDEX", "CI_NODE_TOTAL",
}

// without is an environment in which some variables are not set.
type without struct {
	envconfig.Lookuper
	names []string
}

// Lookup implements [envconfig.Lookuper].
func (w without) Lookup(key string) (string, bool) {
	if slices.Contains(w.names, key) {
		return "", false
	}
	return w.Lookuper.Lookup(key)
}

// parseExplain reads the command line of explain: a tag, and flags before or after it.
func parseExplain(args []string) (line *commandLine, reference string, err error) {
	line, flags := newCommandLine("registry-gc explain")
	flags.Func("rules", "the rules that decide", line.setter("RULES"))
	words, err := line.parseMixed(flags, args)
	switch {
	case err != nil:
		return nil, "", err
	case line.help:
		return line, "", nil
	case len(words) != 1:
		return nil, "", errors.New("explain wants one tag, as GROUP/PROJECT[/REPOSITORY]:TAG; registry-gc explain --help says more")
	}
	return line, words[0], pipeline.CheckReference(words[0])
}

// explain asks for the tag and prints what there is to say of it.
func (j *job) explain(ctx context.Context, reference string) int {
	client, err := j.connect(ctx, func(c *gitlabapi.Client) error { return c.CheckToken(ctx, false) })
	var x *pipeline.Explanation
	if err == nil {
		x, err = pipeline.Explain(ctx, client, j.options(), reference)
	}
	missing, isMissing := errors.AsType[*pipeline.NotFoundError](err)
	stopped, isStopped := errors.AsType[*signalError](context.Cause(ctx))
	switch {
	case err != nil && isStopped:
		return exitSignal + int(stopped.signal)
	case isMissing:
		fmt.Fprintf(j.logOutput.redacted, "registry-gc: %s\n", printable.Escape(missing.Error()+closeNames(missing)))
		return exitError
	case err != nil:
		j.log.Error(advice(err))
		return exitError
	}
	for _, warning := range x.Warnings {
		j.log.Warn(warning.Error())
	}
	var text bytes.Buffer
	writeExplanation(&text, x, j.config)
	return codeOf(j.print(text.Bytes()))
}

// print writes what a command has to say to standard output, without secrets.
func (j *job) print(text []byte) error {
	out := j.redactor.Writer(j.stdout)
	_, err := out.Write(text)
	return errors.Join(err, out.Flush())
}

// maxClose is how many names are shown that are close to one that is not there.
const maxClose = 3

// closeNames says which names that are there are hardly different from one that is not.
func closeNames(missing *pipeline.NotFoundError) string {
	type closeName struct {
		name  string
		edits int
	}
	var found []closeName
	most := min(1+len(missing.Name)/5, 3)
	for _, name := range missing.Has {
		own := strings.TrimPrefix(strings.TrimPrefix(name, missing.In), "/") // of a repository
		if length := len(own) - len(missing.Name); length > most || -length > most {
			continue
		}
		if n := edits.Between(missing.Name, own); n <= most {
			found = append(found, closeName{name, n})
		}
	}
	slices.SortStableFunc(found, func(a, b closeName) int { return a.edits - b.edits })
	var quoted []string
	for _, f := range found[:min(len(found), maxClose)] {
		quoted = append(quoted, fmt.Sprintf("%q", f.name))
	}
	if len(quoted) == 0 {
		return ""
	}
	return "; close to it: " + strings.Join(quoted, ", ")
}
