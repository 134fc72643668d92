package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/sethvargo/go-envconfig"

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

// ruleFields are those fields of Config that rules know as settings, and what names the rules.
var ruleFields = []string{
	"Rules", "ProtectedTags", "ProtectedTagsRegex", "ProtectDefaults", "MinAge", "ImageAge", "DeleteKinds", "Orphans",
}

// rulesCommand is the command that prints the rules in force, or says what is wrong with a file of
// them. It sends no request. The token is known only to be kept out of what is printed.
func rulesCommand(ctx context.Context, args []string, environment envconfig.Lookuper, stdout, stderr io.Writer) int {
	line, checked, err := parseRules(args)
	if err != nil {
		return usageError(stderr, err)
	}
	if line.help {
		return codeOf(writeRulesHelp(stdout))
	}
	config, settings := new(Config), line.settings(environment)
	token, _ := settings.Lookup("GITLAB_TOKEN")
	redactor := redact.New(token)
	if checked != "" && !isRules(checked) {
		// The name of a file on the command line is shown, and that in RULES is not.
		return usageError(redactor.Writer(stderr), fmt.Errorf("%s cannot be read: %s", printable.Escape(checked), withoutPath(rulesFileError(checked))))
	}
	if err := errors.Join(config.load(ctx, settings, ruleFields)...); err != nil {
		return usageError(redactor.Writer(stderr), err)
	}
	rules, err := config.compileRules()
	if _, mistaken := errors.AsType[policy.Mistake](err); mistaken {
		return writeMistakes(redactor.Writer(stderr), err)
	}
	if err != nil {
		return usageError(redactor.Writer(stderr), err)
	}
	for _, text := range config.rulesWarnings(rules, settings) {
		_ = usageError(redactor.Writer(stderr), errors.New("warning: "+text))
	}
	text := printedRules(rules.File())
	if checked != "" {
		text = fmt.Sprintf("%s: %s, no mistakes\n", config.Rules, rulesCount(len(rules.File().Rules())))
	}
	out := redactor.Writer(stdout)
	_, err = io.WriteString(out, text)
	return codeOf(errors.Join(err, out.Flush()))
}

// errNoFile says that there is nothing to check. What stands there instead is not shown.
var errNoFile = errors.New("--check needs the name of a file")

// parseRules reads the command line of rules. A file to be checked takes the place of RULES.
func parseRules(args []string) (line *commandLine, checked string, err error) {
	line = &commandLine{variables: make(map[string]string)}
	// To package flag, what follows --check is its file, whatever it is.
	for i, arg := range args {
		isCheck := arg == "--check" || arg == "-check"
		switch {
		case isCheck && i+1 < len(args) && slices.Contains([]string{"-h", "-help", "--help", "--h"}, args[i+1]):
			line.help = true
			return line, "", nil
		case isCheck && (i+1 == len(args) || args[i+1] == "" || strings.HasPrefix(args[i+1], "-")), arg == "--check=", arg == "-check=":
			return nil, "", errNoFile
		}
	}
	flags := flag.NewFlagSet("registry-gc rules", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Func("rules", "the rules that are printed", line.setter("RULES"))
	flags.Func("check", "a file to be checked", func(file string) error {
		checked = file
		return line.setter("RULES")(file)
	})
	switch words, err := line.parseMixed(flags, args); {
	case err != nil:
		return nil, "", err
	case len(words) > 0:
		return nil, "", errors.New("rules takes no argument; a file is checked by registry-gc rules --check FILE")
	}
	return line, checked, nil
}

// writeMistakes prints each mistake on a line that begins with where it is, as compilers do.
func writeMistakes(w io.Writer, err error) int {
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintln(w, printable.Escape(strings.TrimSuffix(line, "\n")))
	}
	return exitUsage
}

func rulesCount(n int) string {
	if n == 1 {
		return "1 rule"
	}
	return fmt.Sprintf("%d rules", n)
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
