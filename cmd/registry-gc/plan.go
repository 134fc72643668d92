package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/sethvargo/go-envconfig"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
	"gitlab.com/registry-gc/registry-gc/internal/printable"
	"gitlab.com/registry-gc/registry-gc/pipeline/plan"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

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

// readPlans reads the files of a plan: of several they are one. An instance is asked for nothing.
func readPlans(files []string, instance string, maxAge time.Duration, now time.Time) (*plan.Plan, error) {
	all := new(plan.Plan)
	var wrong []error
	first := make(map[plan.Key]string) // file in which a tag stands
	for i, file := range files {
		p, err := readPlan(file, instance)
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		if age := now.Sub(p.Header.Time); maxAge > 0 && age > maxAge {
			wrong = append(wrong, fmt.Errorf("%s: the plan is %s old, and --max-age allows %s: make a new one", file, rounded(age), rounded(maxAge)))
		}
		if i == 0 {
			all.Header = p.Header
		}
		for _, e := range p.Entries {
			if other, twice := first[e.Key()]; twice {
				wrong = append(wrong, fmt.Errorf("%s: %s:%s stands in %s, too", file, printable.Replace(e.Repository, '?'), printable.Replace(e.Tag, '?'), other))
				break // one is enough to see what is wrong
			}
			first[e.Key()] = file
			all.Entries = append(all.Entries, e)
		}
	}
	return all, errors.Join(wrong...)
}

// planWarnings says what people should know of a plan that is applied.
func planWarnings(p *plan.Plan, rules plan.Rules, given map[string]string) (texts []string) {
	if p == nil {
		return nil
	}
	if p.Header.Rules.Hash != rules.Hash {
		texts = append(texts, fmt.Sprintf("the plan was made by other rules (%s) than those in force (%s): a tag that another rule deletes now is kept as changed", p.Header.Rules.Name, rules.Name))
	}
	for _, name := range settingsOfRules {
		if then, now := p.Header.Settings[name], given[name]; then != now {
			texts = append(texts, fmt.Sprintf("the plan was made with %s, and now it is %s: tags that only go by the one are kept", setTo(name, then), setTo(name, now)))
		}
	}
	if p.Header.Incomplete != "" {
		texts = append(texts, "the plan is of a run that did not see all tags: "+p.Header.Incomplete)
	}
	return texts
}

// settingsOfRules are those by which a plan may have other tags than now would go.
var settingsOfRules = []string{
	"DELETE_KINDS", "ORPHANS", "MIN_AGE", "IMAGE_AGE", "PROTECTED_TAGS", "PROTECTED_TAGS_REGEX", "PROTECT_DEFAULTS", "CACHE_SUFFIX", "VERIFY",
}

// setTo says what a setting was, which may have come out of a file.
func setTo(name, value string) string {
	if value == "" {
		return name + " as by default"
	}
	return name + "=" + printable.Replace(value, '?')
}

func readPlan(name, instance string) (*plan.Plan, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return plan.Read(file, name, instance)
}

// rounded writes a time in days or, where it is less than two, in hours.
func rounded(d time.Duration) string {
	switch {
	case d < time.Hour:
		return d.Round(time.Second).String()
	case d < 48*time.Hour:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	}
	return fmt.Sprintf("%d days", int(d/(24*time.Hour)))
}
