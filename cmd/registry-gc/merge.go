package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"gitlab.com/registry-gc/registry-gc/pipeline/report"
	"gitlab.com/registry-gc/registry-gc/pipeline/report/metrics"
)

// mergeCommand returns the command that makes one report out of those of several shards.
func (p *program) mergeCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "merge DIR...",
		Short: "make one report out of those of several machines",
		Long: `merge makes one report out of those of the shards of one run: it reads each DIR, or the
folders of shards in it, prints one summary and writes the reports to REPORT_DIR. It sends no
request and needs no token.`,
		Example: `  registry-gc merge --report-dir merged reports
  registry-gc merge -o merged shard-0-of-2 shard-1-of-2`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("merge needs the folders with the reports of the shards; registry-gc merge --help says how")
			}
			return nil
		},
		ValidArgsFunction: completeFolders,
		RunE:              p.does(p.merge),
	}
	command.Flags().VarP(&flagValue{"DIR", func(dir string) error {
		if dir == "" || looksLikeFlag(dir) {
			return usage("--to needs a folder")
		}
		p.flags["REPORT_DIR"] = dir
		return nil
	}}, "to", "o", "the same as --report-dir")
	p.addOutput(command.Flags(), "")
	p.addQuiet(command.Flags())
	return command
}

// merge makes one report out of several. Its exit code is what a single run would have ended with.
func (p *program) merge(ctx context.Context, folders []string) int {
	config := new(Config)
	if err := errors.Join(config.load(ctx, p.settings("merge"), uses["merge"].flags)...); err != nil {
		return refuse(p.stderr, err)
	}
	if err := checkFolders(folders, ""); err != nil {
		return refuse(p.stderr, err)
	}
	sources, err := report.OpenSources(folders)
	if err != nil {
		return refuse(p.stderr, err)
	}
	var merged []string
	for _, source := range sources {
		merged = append(merged, source.Dir)
	}
	if err := checkFolders(merged, config.ReportDir); err != nil {
		return refuse(p.stderr, err)
	}
	j := p.newJob(config)
	defer j.logOutput.close(ctx)
	return config.processCode(j.merge(ctx, sources))
}

// checkFolders refuses files, for a shell's reports/* names those beside the folders, and
// the folder that the merged reports are written to.
func checkFolders(folders []string, target string) error {
	var problems []error
	to, targetErr := os.Stat(target)
	for _, folder := range folders {
		from, err := os.Stat(folder)
		switch {
		case err != nil:
			problems = append(problems, fileError(folder, err))
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
		files.Everything = true // what the shards have written
		handlers = append(handlers, files)
	}
	ended.Summary, err = report.Merge(ctx, sources, handlers, j.log)
	ended.Summary.Program = programName(os.Args[0])
	return j.finish(ctx, ended, files, err)
}
