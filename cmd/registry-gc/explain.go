package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/internal/edits"
	"gitlab.com/registry-gc/registry-gc/internal/printable"
	"gitlab.com/registry-gc/registry-gc/internal/redact"
	"gitlab.com/registry-gc/registry-gc/pipeline"
)

// explainCommand returns the command that shows all facts of one tag, what each rule makes of them, and what
// a run would do with it.
func (p *program) explainCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "explain GROUP/PROJECT[/REPOSITORY]:TAG",
		Short: "show why one tag would be deleted, or is kept",
		Long: `explain shows what is known of one tag and where it comes from, what each rule makes of it,
and what a run would do with it. It looks for all that the rules speak of, also what a run
would not need to decide. It changes nothing: a token with the scopes read_api and
read_registry will do.`,
		Example: `  registry-gc explain acme/shop/web.cache:feature-x
  registry-gc explain acme/shop/web:trial --rules mine.yaml
  registry-gc explain acme/shop/web:trial --output json | jq .reason`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage("explain needs one tag, as GROUP/PROJECT[/REPOSITORY]:TAG; registry-gc explain --help says more")
			}
			if err := pipeline.CheckReference(args[0]); err != nil {
				return usage(err.Error())
			}
			return nil
		},
		RunE: p.does(p.explain),
	}
	p.addOutput(command.Flags(), "")
	p.addQuiet(command.Flags())
	return command
}

// explain ends with 0 whatever becomes of the tag.
func (p *program) explain(ctx context.Context, args []string) int {
	settings := p.settings("explain")
	config, err := loadConfig(ctx, settings)
	stderr := redact.New(config.Token.Reveal()).Writer(p.stderr)
	if err != nil {
		return refuse(stderr, err)
	}
	rules, err := config.compileRules()
	inUse, inUseErr := config.readInUse(p.stdin)
	if err = errors.Join(err, inUseErr); err != nil {
		return refuse(stderr, err)
	}
	job := p.newJob(config)
	job.rules, job.inUse = rules, inUse
	defer job.logOutput.close(ctx)
	warnOfMistyped(job.log, mistypings(p.names, settings))
	return job.explain(ctx, args[0])
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
	if j.json {
		err = writeJSON(&text, jsonOf(x))
	} else {
		writeExplanation(&text, x, j.config)
	}
	return codeOf(errors.Join(err, j.print(text.Bytes())))
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
