package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/sethvargo/go-envconfig"
	"github.com/spf13/cobra"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
	"gitlab.com/registry-gc/registry-gc/pipeline/plan"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// planCommand returns the command that does all of a run but deleting.
func (p *program) planCommand() *cobra.Command {
	o := &runOptions{command: commandPlan}
	command := &cobra.Command{
		Use:   "plan",
		Short: "a run that changes nothing, and writes down what would be deleted",
		Long: `plan does all that run does, and changes nothing. What would be deleted is written to the file
of -o, or to REPORT_DIR/plan.jsonl: a header, and a line for each tag, by project, repository and
tag. Take out lines with an editor or in report.html; then apply deletes what is left.

A token with the scopes read_api and read_registry will do.`,
		Example: `  registry-gc plan -o plan.jsonl
  registry-gc plan --gitlab-projects acme/shop/web --output json | jq .deleted
  registry-gc plan --report-dir reports --min-age 7d`,
		RunE: p.does(func(ctx context.Context, _ []string) int {
			if given, set := p.flags["DRY_RUN"]; set {
				if dry, ok := parseBool(given); !ok || !dry {
					return refuse(p.stderr, usage("plan changes nothing: --dry-run can only be true here"))
				}
			}
			p.flags["DRY_RUN"] = "true"
			return p.run(ctx, o)
		}),
	}
	addText(command.Flags(), &o.planFile, "plan-file", "o", "FILE", "where the plan is written")
	p.addOutput(command.Flags(), "; -o FILE says where the plan is written")
	p.addQuiet(command.Flags())
	return command
}

// planFileName is what the plan is called in the folder of the reports.
const planFileName = "plan.jsonl"

// instance returns the address by which plans and journals name the instance.
func (c *Config) instance() string {
	u, err := throttle.ParseURL(c.GitLabURL)
	if err != nil {
		return c.GitLabURL
	}
	return strings.TrimSuffix(u.Redacted(), "/")
}

// planPath returns where the plan of a run is written, "" where none is.
func (j *job) planPath() string {
	switch {
	case j.output != "":
		return j.output
	case j.plan != nil: // which may lie where this would be written
		return ""
	case j.reportDir() == "" || !j.config.DryRun && j.config.MaxDeletions == 0:
		return ""
	default:
		return filepath.Join(j.reportDir(), planFileName)
	}
}

// openPlan returns the handler that writes the plan, nil where none is to be written. The plan of an
// earlier dry run in the folder of reports goes with the other reports.
func (j *job) openPlan() (*report.PlanFile, error) {
	if dir := j.reportDir(); dir != "" && j.plan == nil && !j.config.DryRun {
		if err := os.Remove(filepath.Join(dir, planFileName)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, &problem{"REPORT_DIR", "the plan of an earlier run cannot be removed: " + withoutPath(err)}
		}
	}
	path := j.planPath()
	if path == "" {
		return nil, nil
	}
	w, err := plan.NewWriter(path, j.config.instance())
	if err == nil && j.config.DryRun {
		if err = os.Remove(path); errors.Is(err, os.ErrNotExist) {
			err = nil
		}
	}
	if err != nil {
		return nil, &problem{"REPORT_DIR", "the plan cannot be written: " + withoutPath(err)}
	}
	w.Clean = j.redactor.Bytes
	return &report.PlanFile{Writer: w, Path: path}, nil
}

// closePlan writes the plan, unless the run has marked nothing since it was to delete.
func (j *job) closePlan(file *report.PlanFile, summary *report.Summary) error {
	if file == nil {
		return nil
	}
	if !summary.DryRun && summary.MaxDeletions == 0 {
		file.Discard()
		return nil
	}
	header := plan.Header{
		Time: summary.Started, Version: version, User: summary.User, Rules: j.rulesName(), Settings: summary.Settings, Regime: summary.Regime,
	}
	switch {
	case summary.Error != "":
		header.Incomplete = summary.Error
	case summary.Interrupted:
		header.Incomplete = "interrupted"
	}
	if err := file.Close(header); err != nil {
		return err
	}
	if !j.passing {
		summary.Plans = []string{file.Path}
	}
	return nil
}

// rulesName names the rules in force.
func (j *job) rulesName() plan.Rules {
	return plan.Rules{Name: j.rules.File().Name, Hash: j.rules.File().Hash()}
}

// given returns the settings that were given, by variable, without secrets.
func (c *Config) given(settings envconfig.Lookuper) map[string]string {
	given := make(map[string]string)
	for field := range reflect.TypeFor[Config]().Fields() {
		name, _ := variableOf(field)
		value, set := settings.Lookup(name)
		if set && value != "" && field.Type != reflect.TypeFor[throttle.Secret]() && field.Name != "TokenFile" {
			given[name] = strings.ToValidUTF8(value, "?")
		}
	}
	return given
}
