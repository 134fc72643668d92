package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/sethvargo/go-envconfig"

	"gitlab.com/registry-gc/registry-gc/pipeline/report"
	"gitlab.com/registry-gc/registry-gc/pipeline/report/metrics"
)

// mergeSettings are those fields of Config that merge has a use for.
var mergeSettings = []string{"LogFormat", "LogLevel", "ReportDir"}

// merge is the command that makes one report out of those of several shards. It sends no
// request. Its exit code is what a single run would have ended with.
func merge(ctx context.Context, args []string, environment envconfig.Lookuper, stdout, stderr io.Writer) int {
	line, folders, err := parseMerge(args)
	if err != nil {
		return usageError(stderr, err)
	}
	if line.help {
		return codeOf(writeMergeHelp(stdout))
	}
	config := new(Config)
	if err := errors.Join(config.load(ctx, line.settings(environment), mergeSettings)...); err != nil {
		return usageError(stderr, err)
	}
	if err := checkFolders(folders, ""); err != nil {
		return usageError(stderr, err)
	}
	sources, err := report.OpenSources(folders)
	if err != nil {
		return usageError(stderr, err)
	}
	var merged []string
	for _, source := range sources {
		merged = append(merged, source.Dir)
	}
	if err := checkFolders(merged, config.ReportDir); err != nil {
		return usageError(stderr, err)
	}
	j := newJob(config, environment, stdout, stderr)
	defer j.logOutput.close(ctx)
	return j.merge(ctx, sources)
}

// parseMerge reads the command line of merge: folders, and flags before or after them.
func parseMerge(args []string) (line *commandLine, folders []string, err error) {
	line = &commandLine{variables: make(map[string]string)}
	flags := flag.NewFlagSet("registry-gc merge", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	for _, name := range []string{"report-dir", "o"} {
		flags.Func(name, "where the merged reports are written", line.setter("REPORT_DIR"))
	}
	switch folders, err = line.parseMixed(flags, args); {
	case err != nil:
		return nil, nil, err
	case line.help:
		return line, nil, nil
	}
	if len(folders) == 0 {
		return nil, nil, errors.New("merge needs the folders with the reports of the shards; registry-gc merge --help says how")
	}
	return line, folders, nil
}

// checkFolders refuses files, for a shell's reports/* names those beside the folders, and
// the folder that the merged reports are written to.
func checkFolders(folders []string, target string) error {
	var problems []error
	to, targetErr := os.Stat(target)
	for _, folder := range folders {
		from, err := os.Stat(folder)
		switch {
		case err != nil: // reading the reports says why
		case !from.IsDir():
			problems = append(problems, fmt.Errorf("%s is a file; merge reads folders, and finds the reports in them itself", folder))
		case targetErr == nil && os.SameFile(from, to):
			problems = append(problems, &problem{"REPORT_DIR", "must not be a folder that is merged, " + folder})
		}
	}
	return errors.Join(problems...)
}

// merge merges the reports of shards into those of the job.
func (j *job) merge(ctx context.Context, sources []report.Source) int {
	files, err := j.openFiles()
	if err != nil {
		j.log.Error(err.Error())
		return exitUsage
	}
	ended := &metrics.Run{Version: version, Ended: time.Now()}
	var handlers report.Handlers
	if files != nil {
		handlers = append(handlers, files)
	}
	ended.Summary, err = report.Merge(ctx, sources, handlers, j.log)
	return j.finish(ctx, ended, files, err)
}
