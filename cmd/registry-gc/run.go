package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/sethvargo/go-envconfig"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/pipeline"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// version is set by the linker in released builds.
var version = "dev"

// run is the program: it does what the command line and the environment say and
// returns the exit code.
func run(ctx context.Context, args []string, environment envconfig.Lookuper, stdout, stderr io.Writer) int {
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
	config, err := loadConfig(ctx, line.over(environment))
	if err != nil {
		return complain(stderr, err)
	}
	job := &job{config: config, log: newLogger(stderr, config, environment), stdout: stdout}
	return job.run(ctx)
}

// complain prints each problem of a configuration on a line of its own.
func complain(w io.Writer, err error) int {
	problems := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		problems = joined.Unwrap()
	}
	for _, problem := range problems {
		fmt.Fprintf(w, "registry-gc: %v\n", problem)
	}
	return exitUsage
}

// A job is one run of the program under a valid configuration.
type job struct {
	config *Config
	log    *slog.Logger
	stdout io.Writer
}

// run opens the reports, checks the token, runs the pipeline and says how it went, in
// this order: what makes a run impossible is found before anything is deleted.
func (j *job) run(ctx context.Context) int {
	started := time.Now()
	summary := report.NewSummary(j.config.DryRun)
	handlers := report.Handlers{report.Log{Logger: j.log}, summary}
	files, err := j.openFiles()
	if err != nil {
		j.log.Error(err.Error())
		return exitUsage
	}
	if files != nil {
		handlers = append(handlers, files)
	}
	client, err := j.client()
	if err == nil {
		err = j.walk(ctx, client, handlers)
	}
	summary.Interrupted = isStop(err)
	if client != nil {
		addStats(summary, client.Stats(), time.Since(started))
	}
	return j.finish(summary, files, err)
}

// openFiles opens the reports, if there are to be any.
func (j *job) openFiles() (*report.Files, error) {
	if j.config.ReportDir == "" {
		return nil, nil
	}
	files, err := report.OpenFiles(j.config.ReportDir)
	if err != nil {
		return nil, fmt.Errorf("REPORT_DIR: must be a folder that can be written: %w", err)
	}
	return files, nil
}

func (j *job) client() (*gitlabapi.Client, error) {
	return gitlabapi.New(gitlabapi.Config{
		URL:            j.config.GitLabURL,
		Token:          j.config.Token,
		UserAgent:      "registry-gc/" + version,
		Concurrency:    j.config.Concurrency,
		RateLimit:      j.config.RateLimit,
		RateBurst:      j.config.RateBurst,
		RequestTimeout: j.config.RequestTimeout,
		MaxRetries:     j.config.MaxRetries,
	})
}

// walk checks the token and runs the pipeline.
func (j *job) walk(ctx context.Context, client *gitlabapi.Client, handler report.Handler) error {
	ctx, cancel := withMaxRuntime(ctx, j.config.MaxRuntime)
	defer cancel()
	j.log.Info("starting", "version", version, "gitlab_url", j.config.GitLabURL, "dry_run", j.config.DryRun)
	if j.config.Verify == "auto" {
		j.log.Warn("deletions are confirmed by asking GitLab again, not by the registry itself; VERIFY=api accepts that")
	}
	if err := client.CheckToken(ctx, !j.config.DryRun); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return err
	}
	return pipeline.Run(ctx, client, pipeline.Options{
		Scope: pipeline.Scope{
			Groups:     j.config.Groups,
			Projects:   j.config.Projects,
			Membership: j.config.membership(),
		},
		Rules:   j.config.rules(),
		DryRun:  j.config.DryRun,
		Workers: j.config.Concurrency,
	}, handler)
}

func addStats(summary *report.Summary, stats gitlabapi.Stats, took time.Duration) {
	summary.Requests.API = stats.Requests
	summary.Retries = stats.Retries
	summary.Throttled = report.Seconds(stats.Throttled)
	summary.Duration = report.Seconds(took)
}

// finish prints the summary, closes the reports and says what ended the run. It does so
// however the run ended.
func (j *job) finish(summary *report.Summary, files *report.Files, err error) int {
	if text := advice(err); text != "" {
		j.log.Error(text)
	}
	failed := summary.WriteText(j.stdout)
	if files != nil {
		failed = errors.Join(failed, files.Close(summary))
	}
	if failed != nil {
		j.log.Error(failed.Error())
		err = errors.Join(err, failed)
	}
	return exitCode(err, summary)
}
