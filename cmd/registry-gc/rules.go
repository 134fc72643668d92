package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/sethvargo/go-envconfig"
	"github.com/spf13/cobra"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/internal/edits"
	"gitlab.com/registry-gc/registry-gc/internal/printable"
	"gitlab.com/registry-gc/registry-gc/internal/redact"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// The sets of rules that the program brings, as RULES names them.
const (
	defaultRules  = "default"
	originalRules = "original"
)

// rulesFile returns the rules that RULES names, as they were written.
func (c *Config) rulesFile() (*policy.File, error) {
	switch c.Rules {
	case defaultRules:
		return policy.Default(), nil
	case originalRules:
		return policy.Original(), nil
	}
	text, err := os.ReadFile(c.Rules)
	if err != nil {
		return nil, &problem{"RULES", "must be a file that can be read: " + withoutPath(err)}
	}
	return policy.Parse(c.Rules, text)
}

// hintForRules says why the file is none that can be read, without its name, and which set of rules
// may have been meant.
func hintForRules(name string) string {
	hint := ": " + withoutPath(rulesFileError(name))
	for _, set := range []string{defaultRules, originalRules} {
		if edits.Between(strings.ToLower(name), set) <= 2 {
			hint += "; did you mean " + set + "?"
		}
	}
	return hint
}

// compileRules returns the rules that decide on tags, with the settings in them. What is wrong
// with them is in the error, a line each.
func (c *Config) compileRules() (*policy.Rules, error) {
	file, err := c.rulesFile()
	if err != nil {
		return nil, problemsOf(err)
	}
	rules, err := policy.Compile(file, c.ruleSettings())
	return rules, problemsOf(err)
}

// problemsOf returns an error of which each mistake in rules is one.
func problemsOf(err error) error {
	mistakes, ok := errors.AsType[policy.Mistakes](err)
	if !ok {
		return err
	}
	var problems []error
	for _, mistake := range mistakes {
		problems = append(problems, mistake)
	}
	return errors.Join(problems...)
}

// ruleSettings are what rules know as settings.
func (c *Config) ruleSettings() policy.Settings {
	names, pattern := c.protection()
	settings := policy.Settings{
		ProtectedTags: names, ProtectedTagsRegex: pattern, MinAge: time.Duration(c.MinAge), ImageAge: time.Duration(c.ImageAge),
		Orphans: policy.Orphans(c.Orphans),
	}
	for _, kind := range c.DeleteKinds {
		settings.DeleteKinds = append(settings.DeleteKinds, manifest.Kind(kind))
	}
	return settings
}

// settingOf says as what rules know the variables that narrow what goes.
var settingOf = map[string]string{
	"PROTECTED_TAGS": "settings.protected_tags", "PROTECTED_TAGS_REGEX": "settings.protected_tags_regex",
	"MIN_AGE": "settings.min_age", "IMAGE_AGE": "settings.image_age",
	"DELETE_KINDS": "settings.delete_kinds", "ORPHANS": "settings.orphans",
}

// rulesCommand returns the command that prints the rules in force, or says what is wrong with a file of them.
func (p *program) rulesCommand() *cobra.Command {
	var checked string
	command := &cobra.Command{
		Use:   "rules [--check FILE]",
		Short: "print the rules in force, or check a file of rules",
		Long: `rules prints the rules in force, which RULES or --rules names. Above them stand, as
comments, those that hold whatever a file says: what is printed is itself a file of rules,
with the same meaning, to be changed and named in RULES.
--check says of each mistake in a file where it is, and what is meant or known there.

It sends no request and needs neither GITLAB_URL nor a token.`,
		Example: `  registry-gc rules > mine.yaml
  registry-gc rules --check mine.yaml
  registry-gc rules --rules original`,
		RunE: p.does(func(ctx context.Context, _ []string) int { return p.rules(ctx, checked) }),
	}
	addText(command.Flags(), &checked, "check", "", "FILE", "a file of rules to check")
	p.addOutput(command.Flags(), "")
	return command
}

// rules prints the rules, or what is wrong with them. It sends no request. The token is known only to be kept
// out of what is printed.
func (p *program) rules(ctx context.Context, checked string) int {
	if checked != "" {
		p.flags["RULES"] = checked
	}
	config, settings := new(Config), p.settings("rules")
	token, _ := p.settings(commandRun).Lookup("GITLAB_TOKEN")
	redactor := redact.New(token)
	stderr := redactor.Writer(p.stderr)
	if checked != "" && !isRules(checked) {
		// The name of a file on the command line is shown, and that in RULES is not.
		return refuse(stderr, fmt.Errorf("%s cannot be read: %s", printable.Escape(checked), withoutPath(rulesFileError(checked))))
	}
	if err := errors.Join(config.load(ctx, settings, ofRules)...); err != nil {
		return refuse(stderr, err)
	}
	rules, err := config.compileRules()
	mistakes := mistakesIn(err)
	if err != nil && len(mistakes) == 0 {
		return refuse(stderr, err)
	}
	result := rulesResult{File: config.Rules, Mistakes: mistakes, Warnings: []string{}}
	if err == nil {
		result.Warnings = append(result.Warnings, config.rulesWarnings(rules, settings)...)
		result.Hash = rules.File().Hash()
		for _, rule := range rules.All() {
			result.Rules = append(result.Rules, printedRule{rule.Name, rule.Action, rule.Condition, rule.Description})
		}
	}
	out := redactor.Writer(p.stdout)
	switch {
	case p.json:
		err = writeJSON(out, result)
	case len(mistakes) > 0:
		return writeMistakes(stderr, err)
	default:
		for _, text := range result.Warnings {
			refuse(stderr, errors.New("warning: "+text))
		}
		text := printedRules(rules.File())
		if checked != "" {
			text = fmt.Sprintf("%s: %s, no mistakes\n", config.Rules, plural(len(rules.File().Rules()), "rule"))
		}
		_, err = io.WriteString(out, text)
	}
	if err = errors.Join(err, out.Flush()); err == nil && len(mistakes) > 0 {
		return exitUsage
	}
	return codeOf(err)
}

// A rulesResult is what rules prints for programs: what is in force, or what is wrong.
type rulesResult struct {
	File     string        `json:"file"`
	Hash     string        `json:"hash,omitempty"`
	Mistakes []ruleMistake `json:"mistakes"`
	Warnings []string      `json:"warnings"`
	Rules    []printedRule `json:"rules,omitempty"` // those that hold whatever a file says first
}

type ruleMistake struct {
	Line   int    `json:"line"`
	Column int    `json:"column"`
	Text   string `json:"text"`
	Hint   string `json:"hint,omitempty"`
}

type printedRule struct {
	Name        policy.Reason `json:"name"`
	Action      policy.Action `json:"action"`
	Condition   string        `json:"condition"`
	Description string        `json:"description,omitempty"`
}

// mistakesIn returns the mistakes that an error has, none if it is of another kind.
func mistakesIn(err error) []ruleMistake {
	mistakes := []ruleMistake{} // which is not null in JSON
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return mistakes
	}
	for _, err := range joined.Unwrap() {
		if m, ok := errors.AsType[policy.Mistake](err); ok {
			mistakes = append(mistakes, ruleMistake{m.Line, m.Column, m.Text, m.Hint})
		}
	}
	return mistakes
}

// writeMistakes prints each mistake on a line that begins with where it is, as compilers do.
func writeMistakes(w io.Writer, err error) int {
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintln(w, printable.Escape(strings.TrimSuffix(line, "\n")))
	}
	return exitUsage
}

// printedRules returns the text of a file below that of the guards, in comments: the guards stand
// above any file, so that what is printed means the same when it is a file itself. An empty line
// keeps the comments apart from those of the file's first rule.
func printedRules(file *policy.File) string {
	var b strings.Builder
	b.WriteString("# What follows in comments always holds, whatever a file says, and need not be repeated:\n#\n")
	for line := range strings.Lines(policy.Guards().Text) {
		b.WriteString(strings.TrimRight("# "+line, " \n") + "\n")
	}
	b.WriteString("\n" + strings.TrimPrefix(file.Text, "\ufeff"))
	if !strings.HasSuffix(file.Text, "\n") {
		b.WriteString("\n")
	}
	return b.String()
}

// rulesWarnings says what rules do that may not be meant, before any tag shows it.
func (c *Config) rulesWarnings(rules *policy.Rules, lookuper envconfig.Lookuper) (warnings []string) {
	for _, problem := range c.unusedSettings(rules, lookuper) {
		warnings = append(warnings, problem.Error())
	}
	if text := c.unprotected(rules); text != "" {
		warnings = append(warnings, text)
	}
	for _, rule := range rules.Unconditional() {
		warnings = append(warnings, fmt.Sprintf("the rule %s (%s:%d) has no condition: it deletes every tag that no rule above it keeps", rule.Name, rule.File, rule.Line))
	}
	if _, set := lookuper.Lookup("IN_USE"); !set {
		for _, rule := range rules.Asking(policy.FactInUse) {
			warnings = append(warnings, fmt.Sprintf("the rule %s (%s:%d) asks for tag.in_use, and IN_USE is not set: nothing is in use", rule.Name, rule.File, rule.Line))
		}
	}
	return warnings
}

// unprotected says which tags are protected by settings and not by the rules, as none asks for
// these settings; nothing if there are none. Who writes rules may mean it, or has forgotten it.
func (c *Config) unprotected(rules *policy.Rules) string {
	var names, settings []string
	if protected, _ := c.protection(); len(protected) > 0 && !rules.Uses("settings.protected_tags") {
		names, settings = append(names, protected...), append(settings, "settings.protected_tags")
	}
	if !rules.Uses("settings.protected_tags_regex") {
		if c.ProtectDefaults {
			names = append(names, protectedPatternByDefault)
		}
		if c.ProtectedTagsRegex != "" {
			names = append(names, string(c.ProtectedTagsRegex))
		}
		settings = append(settings, "settings.protected_tags_regex")
	}
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf("tags named %s are not protected by name: none of the rules (RULES=%s) asks for %s", strings.Join(names, ", "), c.Rules, strings.Join(settings, " or "))
}

// unusedSettings returns what is wrong with variables that were set and that no rule asks for: who
// set one believes that it protects something.
func (c *Config) unusedSettings(rules *policy.Rules, lookuper envconfig.Lookuper) (problems []error) {
	for field := range reflect.TypeFor[Config]().Fields() {
		name, _ := variableOf(field)
		setting, narrows := settingOf[name]
		if _, set := lookuper.Lookup(name); narrows && set && !rules.Uses(setting) {
			problems = append(problems, &problem{name, fmt.Sprintf("changes nothing, as none of the rules (RULES=%s) asks for %s: unset it, or let a rule ask for it", c.Rules, setting)})
		}
	}
	return problems
}
