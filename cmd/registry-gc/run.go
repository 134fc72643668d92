package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/sethvargo/go-envconfig"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
	"gitlab.com/registry-gc/registry-gc/pipeline"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
	"gitlab.com/registry-gc/registry-gc/pipeline/report/metrics"
)

// version is set by the linker in released builds.
var version = "dev"

// run is the program: it does what the command line and the environment say, whose
// variables have these names, and returns the exit code.
func run(ctx context.Context, args []string, environment envconfig.Lookuper, names []string, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == "merge" {
		return merge(ctx, args[1:], environment, stdout, stderr)
	}
	line, err := parseFlags(args)
	if err != nil {
		return complain(stderr, err)
	}
	if line.help {
		return codeOf(writeHelp(stdout))
	}
	if line.version {
		_, err := fmt.Fprintln(stdout, "registry-gc", version)
		return codeOf(err)
	}
	settings := line.over(environment)
	config, err := loadConfig(ctx, settings)
	mistyped := mistypings(names, settings)
	if err = errors.Join(err, config.refuseMistyped(mistyped, settings)); err != nil {
		return complain(stderr, err)
	}
	job := &job{config: config, stdout: stdout, screen: screenFor(stderr, config, environment)}
	if job.screen != nil {
		stderr = job.screen
	}
	job.log, job.inJob = newLogger(stderr, config, environment)
	if shard := config.shard(); shard.Count > 1 {
		job.log = job.log.With("shard", shard.Index, "shards", shard.Count)
	}
	warnOfMistyped(job.log, mistyped)
	if _, set := settings.Lookup("GITLAB_TOKEN"); set && config.TokenFile != "" {
		job.log.Warn("both GITLAB_TOKEN and GITLAB_TOKEN_FILE are set: GITLAB_TOKEN counts, the file is not read")
	}
	return job.run(ctx)
}

// complain prints each problem of a configuration on a line of its own.
func complain(w io.Writer, err error) int {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, problem := range joined.Unwrap() {
			complain(w, problem)
		}
		return exitUsage
	}
	fmt.Fprintf(w, "registry-gc: %v\n", err)
	return exitUsage
}

// A job is one run of the program under a valid configuration.
type job struct {
	config *Config
	log    *slog.Logger
	inJob  *jobLog
	stdout io.Writer
	screen *screen // nil where there is no display
}

// run checks the token, opens the reports, runs the pipeline and says how it went, in
// this order: what makes a run impossible is found before anything is deleted, and
// before the reports of an earlier run are overwritten.
func (j *job) run(ctx context.Context) int {
	started, untilSignal := time.Now(), ctx
	ctx, cancel := withMaxRuntime(ctx, j.config.MaxRuntime)
	defer cancel()
	intent := "starting: dead tags will be deleted"
	if j.config.DryRun {
		intent = "starting a dry run: nothing will be changed"
	}
	j.log.Info(intent, "version", version, "gitlab_url", j.config.GitLabURL, "dry_run", j.config.DryRun)
	client, err := gitlabapi.New(j.client())
	if err == nil {
		err = client.CheckToken(ctx, !j.config.DryRun)
	}
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		j.log.Error(advice(err))
		return exitCode(err, j.summary())
	}
	summary, dead := j.summary(), &report.Tally{Links: j.inJob.links()}
	summary.Started = started.UTC().Truncate(time.Second)
	told := &report.Log{Logger: j.log, Links: j.inJob.links(), Stopped: func() bool { return ctx.Err() != nil }}
	handlers := report.Handlers{summary, dead, told}
	files, err := j.openFiles()
	if err != nil {
		j.log.Error(err.Error())
		return exitUsage
	}
	if files != nil {
		handlers = append(report.Handlers{files}, handlers...) // recorded first, then told
	}
	end := j.inJob.section("registry_gc_tags", "What becomes of the tags, one by one")
	err = j.walk(ctx, client, handlers)
	told.End()
	end()
	summary.Interrupted = isStop(err)
	summary.Error = advice(err)
	_, summary.ScopeMissing = errors.AsType[*pipeline.ScopeError](err)
	addStats(summary, client.Stats(), time.Since(started))
	ended := &metrics.Run{Summary: summary, Dead: dead, Version: version, Ended: time.Now()}
	ended.ExitCode = j.finish(ended, files, err)
	j.push(untilSignal, ended)
	return ended.ExitCode
}

// summary returns an empty summary, which names the shard if there are several.
func (j *job) summary() *report.Summary {
	summary := report.NewSummary(j.config.DryRun)
	summary.GitLabURL, summary.Version = j.config.GitLabURL, version
	if pipeline.Verify(j.config.Verify) == pipeline.VerifyAPI {
		summary.Verify = report.ByAPI
	}
	if shard := j.config.shard(); shard.Count > 1 {
		summary.Shard = &shard
	}
	return summary
}

// openFiles opens the reports, if there are to be any. Shards write into folders of their
// own below REPORT_DIR.
func (j *job) openFiles() (*report.Files, error) {
	dir := j.config.ReportDir
	if dir == "" {
		return nil, nil
	}
	if shard := j.config.shard(); shard.Count > 1 {
		dir = filepath.Join(dir, shard.Folder())
	}
	files, err := report.OpenFiles(dir)
	if err != nil {
		return nil, &problem{"REPORT_DIR", "must be a folder that can be written: " + err.Error()}
	}
	return files, nil
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
		RequestTimeout: j.config.RequestTimeout,
		MaxRetries:     j.config.MaxRetries,
	}
}

// walk runs the pipeline and shows how it is getting on.
func (j *job) walk(ctx context.Context, client *gitlabapi.Client, handler report.Handler) error {
	progress := new(pipeline.Progress)
	defer j.showProgress(ctx, progress, client)()
	return pipeline.Run(ctx, client, pipeline.Options{
		Scope: pipeline.Scope{
			Groups:     j.config.Groups,
			Projects:   j.config.Projects,
			Membership: j.config.membership(),
			Shard:      pipeline.Shard(j.config.shard()),
		},
		Rules:   j.config.rules(),
		DryRun:  j.config.DryRun,
		Workers: j.config.Concurrency,

		Verify:      pipeline.Verify(j.config.Verify),
		RegistryURL: j.config.RegistryURL,
		MinAge:      j.config.MinAge,
		Progress:    progress,
	}, handler)
}

func addStats(summary *report.Summary, stats throttle.Stats, took time.Duration) {
	summary.Requests = report.Requests{API: stats.Requests, Registry: stats.RegistryRequests}
	summary.Retries = stats.Retries
	summary.Throttled = report.Seconds(stats.Throttled)
	summary.Duration = report.Seconds(took)
}

// finish says what ended the run or was left, prints the summary and closes the
// reports, however the run ended.
func (j *job) finish(ended *metrics.Run, files *report.Files, err error) int {
	ended.ExitCode = exitCode(err, ended.Summary)
	if text := verdict(ended.ExitCode, ended.Summary); text != "" {
		j.log.Error(text)
	}
	j.hurry(ended.Summary, files, err)
	failed := ended.Summary.WriteText(j.stdout, ended.Dead, files)
	if files != nil {
		failed = errors.Join(failed, files.Close(ended.Summary), writeMetrics(files, ended))
	}
	if failed != nil {
		j.log.Error(failed.Error())
		return exitCode(errors.Join(err, failed), ended.Summary)
	}
	return ended.ExitCode
}

// mostInHurry is how many decisions a page is still made of when somebody waits for the end:
// that takes some three seconds.
const mostInHurry = 200_000

// hurry leaves out the page of a run that a signal ended if making it would take long:
// whoever sent the signal soon sends one that kills, and that would cost the other files.
func (j *job) hurry(summary *report.Summary, files *report.Files, err error) {
	_, interrupted := errors.AsType[*signalError](err)
	decisions := summary.Deleted + summary.Undecided + summary.Failed
	if files == nil || !interrupted || decisions <= mostInHurry {
		return
	}
	files.LeaveOutPage()
	j.log.Warn(report.PageFile+" is left out to end soon; registry-gc merge makes it of the other reports", "decisions", decisions)
}
