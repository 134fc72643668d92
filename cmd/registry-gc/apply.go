package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gitlab.com/registry-gc/registry-gc/internal/printable"
	"gitlab.com/registry-gc/registry-gc/pipeline/plan"
)

// maxPlanAge is how old a plan may be that is applied, unless it is said otherwise.
const maxPlanAge = duration(7 * 24 * time.Hour)

// applyCommand returns the command that deletes what is in a plan.
func (p *program) applyCommand() *cobra.Command {
	o := &runOptions{command: commandApply, maxAge: maxPlanAge}
	command := &cobra.Command{
		Use:   "apply FILE...",
		Short: "delete what is in a plan and is still what was planned",
		Long: `apply deletes what is in a plan: each tag that still has the same digest, and that the rules
in force still delete when all is read again. It visits the repositories of the plan and no
others. Of every other tag it says why it is kept: changed, gone-already, or the rule that keeps
it now. Refused are a plan that is too old, one in which a line was changed, and one of
another instance.

Settings are those of a run, but for its scope. Exit code 0 also means that tags were gone or
had changed meanwhile.`,
		Example: `  registry-gc apply plan.jsonl
  registry-gc apply --dry-run plan.jsonl        # what would be deleted now
  registry-gc apply --yes --max-age 1d reports/plan.jsonl`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("apply needs the file of a plan, such as reports/plan.jsonl; registry-gc apply --help says more")
			}
			return nil
		},
		ValidArgsFunction: completeFiles,
		RunE: p.does(func(ctx context.Context, args []string) int {
			o.files = args
			return p.run(ctx, o)
		}),
	}
	command.Flags().Var(&flagValue{"DURATION", func(text string) error {
		if o.maxAge.UnmarshalText([]byte(text)) != nil {
			return usage("--max-age must be a time in days, hours, minutes or seconds, such as 7d or 90m; 0 for any")
		}
		return nil
	}}, "max-age", "how old the plan may be, 0 for any age (default 7d)")
	addSwitch(command.Flags(), &o.yes, "yes", "", "do not ask, on a terminal either")
	p.addOutput(command.Flags(), "")
	p.addQuiet(command.Flags())
	return command
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
var settingsOfRules = slices.Concat(knownToRules, []string{"CACHE_SUFFIX", "VERIFY"})

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
		return nil, fileError(name, err)
	}
	defer file.Close()
	p, err := plan.Read(file, name, instance)
	if err == nil && len(p.Entries) == 0 && p.Header.Incomplete != "" {
		err = fmt.Errorf("%s: the run that made this plan ended before it had seen any tag that would be deleted: %s", name, printable.Replace(p.Header.Incomplete, '?'))
	}
	return p, err
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
