package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sethvargo/go-envconfig"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/internal/redact"
	"gitlab.com/registry-gc/registry-gc/pipeline"
	"gitlab.com/registry-gc/registry-gc/pipeline/inuse"
	"gitlab.com/registry-gc/registry-gc/pipeline/plan"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
	"gitlab.com/registry-gc/registry-gc/pipeline/report/metrics"
)

// The commands of a run, of which the first needs no name.
const (
	commandRun   = "run"
	commandPlan  = "plan"
	commandApply = "apply"
)

// runCommand returns the command that is the job itself.
func (p *program) runCommand() *cobra.Command {
	o := &runOptions{command: commandRun}
	command := &cobra.Command{
		Use:   "run",
		Short: "find dead tags and delete them; on a terminal show them first, and ask",
		Long: `run looks at all projects that the token can see, or those that it is told, decides on each
tag by the rules, deletes, and reports.

On a terminal it plans first, shows what would be deleted and asks; --yes does not ask. Elsewhere
it never asks. With --dry-run it changes nothing.`,
		Example: `  registry-gc run --dry-run
  registry-gc run --gitlab-groups acme/shop --exclude 'acme/shop/**/release' --max-deletions 500
  registry-gc run --yes --report-dir reports`,
		RunE: p.does(func(ctx context.Context, _ []string) int { return p.run(ctx, o) }),
	}
	addSwitch(command.Flags(), &o.yes, "yes", "", "do not ask, on a terminal either")
	p.addOutput(command.Flags(), "")
	p.addQuiet(command.Flags())
	return command
}

// runOptions are what the command line says of a run beside its settings.
type runOptions struct {
	command  string
	planFile string   // of plan: where the plan is written
	files    []string // of apply: the plan
	maxAge   duration // of apply: how old the plan may be
	yes      bool     // nobody is asked
}

// run does a run, a plan or what a plan says, and returns the exit code.
func (p *program) run(ctx context.Context, o *runOptions) int {
	settings := p.settings(o.command)
	config, err := loadConfig(ctx, settings)
	stderr := redact.New(config.Token.Reveal()).Writer(p.stderr)
	mistyped := mistypings(p.names, settings)
	if err = errors.Join(err, config.refuseMistyped(mistyped, settings)); err != nil {
		return refuse(stderr, err)
	}
	rules, err := config.compileRules()
	if err == nil && !config.DryRun {
		err = errors.Join(config.unusedSettings(rules, settings)...)
	}
	inUse, inUseErr := config.readInUse(p.stdin)
	if err = errors.Join(err, inUseErr); err != nil {
		return refuse(stderr, err)
	}
	var toApply *plan.Plan
	if o.command == commandApply {
		if toApply, err = readPlans(o.files, config.instance(), time.Duration(o.maxAge), time.Now()); err != nil {
			return refuse(stderr, err)
		}
	}
	job := p.newJob(config)
	job.rules, job.inUse, job.given = rules, inUse, config.given(settings)
	job.output, job.plan, job.applied = o.planFile, toApply, strings.Join(o.files, ", ")
	defer job.logOutput.close(ctx)
	// Libraries print through package log, net/http even what a server sent. These lines
	// become lines of this log.
	slog.SetDefault(job.log)
	slog.SetLogLoggerLevel(slog.LevelWarn)
	tidyUp := func() { job.logOutput.flush(ctx) }
	beforeExit.Store(&tidyUp)

	warnOfMistyped(job.log, mistyped)
	for _, text := range slices.Concat(config.rulesWarnings(rules, settings), planWarnings(toApply, job.rulesName(), job.given), config.warnings(rules, settings), p.overruled(o.command)) {
		job.log.Warn(text)
	}
	var asker *asker
	if !o.yes && !config.DryRun {
		if asker, err = newAsker(p.stdin, p.stdout, p.stderr); err != nil {
			return refuse(stderr, err)
		}
	}
	if asker != nil {
		defer asker.close()
		job.asked = true
		return config.processCode(job.runAsking(ctx, asker))
	}
	return config.processCode(job.run(ctx))
}

// warnings says what settings mean together that may not be meant.
func (c *Config) warnings(rules *policy.Rules, settings envconfig.Lookuper) (texts []string) {
	if text := c.blind(rules); text != "" {
		texts = append(texts, text)
	}
	if _, set := settings.Lookup("GITLAB_TOKEN"); set && c.TokenFile != "" {
		texts = append(texts, "both GITLAB_TOKEN and GITLAB_TOKEN_FILE are set: GITLAB_TOKEN counts, the file is not read")
	}
	return texts
}

// blind says what cannot be known by settings with which tags go for lacking GitLab's details while the
// registry, which could tell what they are, is not asked.
func (c *Config) blind(rules *policy.Rules) string {
	if pipeline.Verify(c.Verify) != pipeline.VerifyAPI || !rules.Uses(string(policy.FactHasDetails)) {
		return ""
	}
	return fmt.Sprintf("rules (RULES=%s) ask whether GitLab has details of a tag, and the registry is not asked (VERIFY=api): where it has no metadata database, tags that go for lacking details may be images that can be pulled", c.Rules)
}

// A job is one run of the program under a valid configuration.
type job struct {
	config    *Config
	redactor  *redact.Redactor
	log       *slog.Logger
	logOutput *logOutput
	jobLog    *jobLog // nil outside of a GitLab job
	ci        ciJob
	stdout    io.Writer
	rules     *policy.Rules // what decides on tags
	inUse     *inuse.List   // what IN_USE names
	undoes    bool          // it brings tags back
	format    logFormat
	colours   bool              // whether a terminal is to have any
	json      bool              // the summary is printed as JSON
	given     map[string]string // settings that were given
	output    string            // where the plan goes, "" for the folder of the reports
	plan      *plan.Plan        // what is applied, nil for all that the rules delete
	applied   string            // the files that plan is from
	planIsNew bool              // this program has made it just now
	asked     bool              // somebody at a terminal has been asked
	asks      bool              // who reads the summary is asked after it
	passing   bool              // the plan is gone when the program ends
	ended     *report.Summary   // of the last run
	// flags are those to be given to the commands by which people go on, by command.
	flags map[string][]string
	// jobURL and pipelineURL are the pages of the CI job that this is, "" outside of GitLab.
	jobURL, pipelineURL string
}

// newJob returns a job whose log goes to standard error.
func (p *program) newJob(config *Config) *job {
	j := &job{config: config, redactor: redact.New(config.Token.Reveal()), stdout: p.stdout, json: p.json, ci: ciJobOf(p.environment)}
	j.format = formatFor(p.stderr, config, p.environment)
	j.jobURL, j.pipelineURL = webAddressIn(p.environment, "CI_JOB_URL"), webAddressIn(p.environment, "CI_PIPELINE_URL")
	j.colours = !j.format.json && wantsColours(p.environment)
	j.flags = make(map[string][]string)
	for _, command := range []string{commandRun, commandApply, "explain", "undo"} {
		j.flags[command] = p.flagsOf(command)
	}
	if p.quiet {
		j.format.level, j.format.display = max(j.format.level, slog.LevelWarn), false
	}
	j.logOutput = newLogOutput(p.stderr, j.format, j.redactor)
	j.log, j.jobLog = newLogger(j.logOutput.redacted, j.format, config.GitLabURL)
	if shard := config.shard(); shard.Count > 1 {
		j.log = j.log.With("shard", shard.Index, "shards", shard.Count)
	}
	return j
}

// webAddressIn returns the address that a variable holds, "" for what is none that a browser may be led to.
func webAddressIn(environment envconfig.Lookuper, name string) string {
	value, _ := environment.Lookup(name)
	return report.WebAddress(value)
}

// mostLines is how many tags of a repository that go have a line in a log for people.
const mostLines = 20

// run checks the token, opens the reports, runs the pipeline and says how it went, in
// this order: what makes a run impossible is found before anything is deleted, and
// before the reports of an earlier run are overwritten.
func (j *job) run(untilSignal context.Context) int {
	started := time.Now()
	ctx, cancel := withMaxRuntime(untilSignal, time.Duration(j.config.MaxRuntime))
	defer cancel()
	intent := "starting: tags will be deleted"
	switch {
	case j.asks:
		intent = "looking at what would be deleted: nothing is deleted yet"
	case j.config.DryRun:
		intent = "starting a dry run: nothing will be changed"
	case j.plan != nil:
		intent = "starting: what is in the plan will be deleted"
	}
	j.log.Info(intent, "version", version, "gitlab_url", j.config.GitLabURL, "dry_run", j.config.DryRun)
	client, err := j.connect(ctx, func(c *gitlabapi.Client) error { return c.CheckToken(ctx, !j.config.DryRun) })
	if err != nil {
		j.log.Error(advice(err))
		return exitCode(err, j.summary())
	}
	summary := j.summary()
	summary.Started = started.UTC().Truncate(time.Second)
	log := &report.Log{Logger: j.log, Links: j.jobLog.links(), Rules: summary.Rules, Stopped: func() bool { return ctx.Err() != nil }}
	if !j.format.json {
		log.Most = mostLines
	}
	handlers := report.Handlers{summary, log}
	files, err := j.openFiles()
	planFile, planErr := j.openPlan()
	if err = errors.Join(err, planErr); err != nil {
		j.log.Error(err.Error())
		return exitUsage
	}
	if planFile != nil {
		handlers = append(report.Handlers{planFile}, handlers...)
	}
	if files != nil {
		handlers = append(report.Handlers{files}, handlers...) // recorded first, then logged
	}
	if files != nil || planFile != nil {
		summary.User = client.UserName(ctx)
	}
	journal := j.journal(untilSignal, started)
	endSection := j.jobLog.section("registry_gc_tags", "What becomes of the tags, one by one")
	err = j.runPipeline(ctx, client, journal, handlers)
	log.End()
	if path := journal.Path(); path != "" {
		summary.Journals = []string{path}
	}
	endSection()
	summary.Interrupted = isStop(err)
	summary.Error = advice(err)
	_, summary.ScopeMissing = errors.AsType[*pipeline.ScopeError](err)
	stats := client.Stats()
	summary.Requests = report.Requests{API: stats.Requests, Registry: stats.RegistryRequests}
	summary.Retries = stats.Retries
	summary.Throttled = report.Seconds(stats.Throttled)
	summary.Duration = report.Seconds(time.Since(started))
	summary.Ended = time.Now().UTC().Truncate(time.Second)
	closed := errors.Join(j.closePlan(planFile, summary), journal.Close())
	if err = errors.Join(err, closed); closed != nil {
		summary.Error = advice(err)
	}
	if files != nil && len(summary.Plans) > 0 {
		files.Plan = summary.Plans[0]
	}
	j.ended = summary
	ended := &metrics.Run{Summary: summary, Version: version, Ended: time.Now()}
	ended.ExitCode = j.finish(untilSignal, ended, files, err)
	if !j.asks { // of what is not done yet
		j.pushMetrics(untilSignal, ended)
		j.writeNote(untilSignal, client, summary, files)
	}
	return ended.ExitCode
}

// summary returns an empty summary, which names the shard if there are several.
func (j *job) summary() *report.Summary {
	summary := report.NewSummary(j.config.DryRun)
	summary.GitLabURL, summary.Version = j.config.instance(), version
	summary.Program, summary.Flags = programName(os.Args[0]), j.flags
	summary.Rules = report.NewRules(j.rules)
	summary.Settings, summary.Applied = j.given, j.applied
	summary.JobURL, summary.PipelineURL = j.jobURL, j.pipelineURL
	if pipeline.Verify(j.config.Verify) == pipeline.VerifyAPI {
		summary.Verify = report.ByAPI
	}
	if shard := j.config.shard(); shard.Count > 1 {
		summary.Shard = &shard
	}
	return summary
}

// programName is how people call the program from where they are: by a path such as bin/registry-gc, or by its
// name.
func programName(called string) string {
	if base := filepath.Base(called); base == "registry-gc" && called != base && !filepath.IsAbs(called) {
		return called
	}
	return "registry-gc"
}

// openFiles opens the reports, if there are to be any. Shards write into folders of their
// own below REPORT_DIR.
func (j *job) openFiles() (*report.Files, error) {
	dir := j.reportDir()
	if dir == "" {
		return nil, nil
	}
	files, err := report.OpenFiles(dir)
	if err != nil {
		return nil, &problem{"REPORT_DIR", "must be a folder that can be written: " + err.Error()}
	}
	files.Redactor, files.Everything = j.redactor, j.plan != nil || j.config.ReportKept // those of a plan have been named before
	return files, nil
}

// reportDir returns the folder of the reports, "" where there are none.
func (j *job) reportDir() string {
	dir := j.config.ReportDir
	if shard := j.config.shard(); dir != "" && shard.Count > 1 {
		dir = filepath.Join(dir, shard.Folder())
	}
	return dir
}

// client says how the instance is asked. Shards that run side by side are to send no more
// than one process would.
func (j *job) client() gitlabapi.Config {
	shards := j.config.shard().Count
	return gitlabapi.Config{
		URL:            j.config.GitLabURL,
		Token:          j.config.Token,
		UserAgent:      "registry-gc/" + version,
		Log:            j.log,
		Concurrency:    j.config.Concurrency,
		RateLimit:      j.config.RateLimit / float64(shards),
		RateBurst:      max(1, j.config.RateBurst/shards),
		RequestTimeout: time.Duration(j.config.RequestTimeout),
		MaxRetries:     j.config.MaxRetries,
	}
}

// connect returns a client whose token may do what is going to be done, by a check of the client's own.
// The error of a stop is its cause.
func (j *job) connect(ctx context.Context, check func(*gitlabapi.Client) error) (*gitlabapi.Client, error) {
	client, err := gitlabapi.New(j.client())
	if err == nil {
		err = check(client)
	}
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return client, err
}

// runPipeline runs the pipeline and shows how it is getting on.
func (j *job) runPipeline(ctx context.Context, client *gitlabapi.Client, journal *plan.Journal, handler report.Handler) error {
	progress := new(pipeline.Progress)
	defer j.showProgress(ctx, progress, client)()
	options := j.options()
	options.Progress = progress
	if journal != nil {
		options.Journal = journal
	}
	return pipeline.Run(ctx, client, options, handler)
}

// options are the choices that the configuration has made.
func (j *job) options() pipeline.Options {
	return pipeline.Options{
		Scope:       j.config.scope(),
		Rules:       j.rules,
		CacheSuffix: j.config.CacheSuffix,
		DryRun:      j.config.DryRun,
		Workers:     j.config.Concurrency,

		Verify:      pipeline.Verify(j.config.Verify),
		RegistryURL: j.config.RegistryURL,

		Plan:              j.plan,
		PlanIsNew:         j.planIsNew,
		MaxDeletions:      int(j.config.MaxDeletions),
		InUse:             j.inUse,
		InUseEnvironments: j.config.asksEnvironments(),
	}
}

// finish logs what ended the run or was left undone, prints the summary and closes the
// reports, however the run ended. The log comes before the summary where both are on one
// terminal; the reports do not wait for a reader of either.
func (j *job) finish(untilSignal context.Context, ended *metrics.Run, files *report.Files, err error) int {
	ended.ExitCode = exitCode(err, ended.Summary)
	if text := outcomeText(ended.ExitCode, ended.Summary); text != "" {
		j.log.Error(text)
	}
	j.skipSlowPage(ended.Summary, files, err)
	j.logOutput.flush(untilSignal)
	var failed error
	if files != nil { // before the summary, which names those that there are
		failed = errors.Join(files.Close(ended.Summary), files.Write(report.MetricsFile, ended.Text()))
	}
	stdout := newOutlet(j.stdout)
	defer stdout.close()
	summary := j.redactor.Writer(stdout)
	failed = errors.Join(failed, j.writeSummary(summary, ended, files), summary.Flush())
	failed = errors.Join(failed, stdout.flush(untilSignal, 0)) // a paused terminal shows it later
	if failed != nil {
		j.log.Error(failed.Error())
		return exitCode(errors.Join(err, failed), ended.Summary)
	}
	return ended.ExitCode
}

// writeSummary prints the summary, for people or for programs.
func (j *job) writeSummary(w io.Writer, ended *metrics.Run, files *report.Files) error {
	if !j.json {
		return ended.Summary.WriteText(w, j.text(files))
	}
	return writeJSON(w, ended.Summary)
}

// text says how the summary is printed: as wide as the terminal is, in colours where it has them.
func (j *job) text(files *report.Files) report.Text {
	text := report.Text{Files: files, Links: j.jobLog.links(), Asks: j.asks}
	if file, ok := j.stdout.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		text.Colours = j.colours
		if width, _, err := term.GetSize(int(file.Fd())); err == nil && width > 0 {
			text.Width = width
		}
	}
	return text
}

// maxPageDecisions is how many decisions a page is still made of after a signal: that
// takes some four seconds. The lines of a plan, of which tags can be selected, take as long again.
const maxPageDecisions = 200_000

// skipSlowPage leaves out the page of a run that a signal ended if making it would take
// long, or the plan in it: a signal that kills may follow, and that would cost the other files.
func (j *job) skipSlowPage(summary *report.Summary, files *report.Files, err error) {
	_, interrupted := errors.AsType[*signalError](err)
	decisions := summary.Deleted + summary.Undecided + summary.Failed
	if files != nil && files.Everything {
		decisions += summary.Kept
	}
	if files != nil && interrupted && decisions > maxPageDecisions/2 {
		files.Plan = ""
	}
	if files == nil || !interrupted || decisions <= maxPageDecisions {
		return
	}
	files.LeaveOutPage()
	j.log.Warn(report.PageFile+" is left out to end soon; registry-gc merge makes it of the other reports", "decisions", decisions)
}
