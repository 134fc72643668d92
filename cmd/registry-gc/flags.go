package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/sethvargo/go-envconfig"

	"gitlab.com/registry-gc/registry-gc/internal/edits"
)

// A commandLine has the flags that the program's predecessor had, each of which sets a
// variable, and the two that every program has.
type commandLine struct {
	variables map[string]string // that flags have set
	help      bool
	version   bool
	output    string   // of plan: where the plan is written
	files     []string // of apply: the plan
	maxAge    duration // of apply: how old the plan may be
	problem   error    // what is wrong with a flag's value
	yes       bool     // nobody is asked
}

// The commands of a run, of which the first needs no name.
const (
	commandRun   = "run"
	commandPlan  = "plan"
	commandApply = "apply"
)

// maxPlanAge is how old a plan may be that is applied, unless it is said otherwise.
const maxPlanAge = duration(7 * 24 * time.Hour)

// flagVariables are the flags that set a variable.
var flagVariables = []struct{ flag, variable, usage string }{
	{"gitlab-url", "GITLAB_URL", "the instance"},
	{"token", "GITLAB_TOKEN", "access token; other users of the machine can see it, the variable they cannot"},
}

var (
	// flagLike is what the name of a flag looks like. Nothing else is shown.
	flagLike = regexp.MustCompile(`^--?([a-z]+(?:-[a-z]+)*)$`)
	noFlag   = regexp.MustCompile(`^--?[-=]`)
)

// flagError says what is wrong with the argument that flags stumbled over, the last one
// before the rest. It shows a name at most: what stands there may be the token, also glued
// to the name of a flag that takes one.
func flagError(flags *flag.FlagSet, args []string) error {
	const help = "; registry-gc --help lists what there is"
	// One of a form that no flag has, such as ---x, is still in the rest.
	given, _, _ := strings.Cut(args[max(0, len(args)-flags.NArg()-1)], "=")
	if rest := flags.Args(); len(rest) > 0 && noFlag.MatchString(rest[0]) {
		given = rest[0]
	}
	match := flagLike.FindStringSubmatch(given)
	if flags.Lookup("dry-run") != nil && given != "--dry-run" && given != "-dry-run" && meansDryRun(given) {
		return errors.New("unknown flag: did you mean --dry-run?")
	}
	if match == nil || len(match[1]) > 20 {
		return errors.New("unknown flag" + help)
	}
	name := match[1]
	if flags.Lookup(name) != nil {
		return fmt.Errorf("--%s lacks its value, or has one that it cannot have%s", name, help)
	}
	glued := false
	flags.VisitAll(func(f *flag.Flag) { glued = glued || strings.HasPrefix(name, f.Name) && len(f.Name) > 1 })
	variable := strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
	switch _, known := variableNamed(variable); {
	case glued:
		return errors.New("unknown flag" + help)
	case known:
		return fmt.Errorf("--%s is no flag: set the variable %s%s", name, variable, help)
	default:
		return fmt.Errorf("--%s is no flag%s", name, help)
	}
}

// meansDryRun reports whether a word is dry-run or nearly so. Who mistypes that is about to
// delete.
func meansDryRun(word string) bool {
	return edits.Between(normalized(word), "DRYRUN") <= 2
}

// newCommandLine returns the command line of a command, with the flags that all have which ask GitLab.
func newCommandLine(command string) (*commandLine, *flag.FlagSet) {
	line := &commandLine{variables: make(map[string]string), maxAge: maxPlanAge}
	flags := flag.NewFlagSet(command, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	for _, f := range flagVariables {
		flags.Func(f.flag, f.usage, line.setter(f.variable))
	}
	return line, flags
}

// parseFlags reads the command line. Its errors do not repeat what was given, which may
// be the token in the wrong place.
func parseFlags(command string, args []string) (*commandLine, error) {
	line, flags := newCommandLine("registry-gc")
	flags.BoolFunc("dry-run", "decide and report, delete nothing", line.setter("DRY_RUN"))
	if command == commandPlan {
		line.variables["DRY_RUN"] = "true"
		flags.StringVar(&line.output, "output", "", "where the plan is written")
		flags.StringVar(&line.output, "o", "", "the same")
	} else {
		flags.BoolVar(&line.yes, "yes", false, "do not ask, on a terminal either")
	}
	if command == commandApply {
		flags.Func("max-age", "how old the plan may be", func(text string) error {
			if line.maxAge.UnmarshalText([]byte(text)) != nil {
				line.problem = errors.New("--max-age must be a time in days, hours, minutes or seconds, such as 7d or 90m; 0 for any")
			}
			return nil
		})
		return line.parseApply(flags, args)
	}
	flags.BoolVar(&line.version, "version", false, "print the version")
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		line.help = true
	case err != nil:
		return nil, flagError(flags, args)
	case command == commandPlan && !isTrue(line.variables["DRY_RUN"]):
		return nil, errors.New("plan changes nothing: --dry-run can be nothing but true there")
	case flags.NArg() > 0 && meansDryRun(flags.Arg(0)):
		return nil, errors.New("there is an argument that is no flag: did you mean --dry-run?")
	case flags.NArg() > 0:
		return nil, argumentError(command, flags.Arg(0))
	}
	return line, nil
}

// commands are those that there are.
var commands = []string{commandRun, commandPlan, commandApply, "explain", "undo", "rules", "merge"}

// wordLike is what the name of a command looks like. Nothing else is shown: it may be the token.
var wordLike = regexp.MustCompile(`^[a-z]{2,12}$`)

// argumentError says what is wrong with a word that is no flag, where none is expected.
func argumentError(command, word string) error {
	if command == commandPlan {
		return errors.New("plan takes no argument but flags; -o FILE says where the plan is written")
	}
	if !wordLike.MatchString(word) {
		return errors.New("there is an argument that is neither a flag nor a command; the commands are " + strings.Join(commands, ", "))
	}
	for _, known := range commands {
		if edits.Between(word, known) <= 2 {
			return fmt.Errorf("there is no command %s: did you mean %s?", word, known)
		}
	}
	return fmt.Errorf("there is no command %s; there are %s", word, strings.Join(commands, ", "))
}

// isTrue reports whether a flag's value is true.
func isTrue(value string) bool {
	is, err := strconv.ParseBool(value)
	return err == nil && is
}

// parseApply reads the command line of apply, whose files may stand anywhere.
func (l *commandLine) parseApply(flags *flag.FlagSet, args []string) (*commandLine, error) {
	var err error
	if l.files, err = l.parseMixed(flags, args); err != nil {
		return nil, err
	}
	if l.problem != nil {
		return nil, l.problem
	}
	if len(l.files) == 0 && !l.help {
		return nil, errors.New("apply needs the file of a plan, such as reports/plan.jsonl; registry-gc apply --help says more")
	}
	return l, nil
}

// setter returns the function of a flag that sets a variable.
func (l *commandLine) setter(variable string) func(string) error {
	return func(value string) error {
		l.variables[variable] = value
		return nil
	}
}

// parseMixed reads flags and returns what stands before, between and after them.
func (l *commandLine) parseMixed(flags *flag.FlagSet, args []string) (words []string, err error) {
	for len(args) > 0 {
		switch err := flags.Parse(args); {
		case errors.Is(err, flag.ErrHelp):
			l.help = true
			return nil, nil
		case err != nil:
			return nil, flagError(flags, args)
		}
		if args = flags.Args(); len(args) > 0 {
			words, args = append(words, args[0]), args[1:]
		}
	}
	return words, nil
}

// ownPrefix may stand before the name of any variable, which is then stronger than the bare
// name: that may be another program's, too.
const ownPrefix = "REGISTRY_GC_"

// settings returns a lookuper in which the flags are stronger than the environment.
func (l *commandLine) settings(environment envconfig.Lookuper) envconfig.Lookuper {
	prefixed := envconfig.PrefixLookuper(ownPrefix, environment)
	return settings{envconfig.MapLookuper(l.variables), ofConfig{prefixed}, environment}
}

// ofConfig looks up no other names than those of Config's variables.
type ofConfig struct{ envconfig.Lookuper }

// Lookup implements [envconfig.Lookuper].
func (l ofConfig) Lookup(key string) (string, bool) {
	if _, known := variableNamed(key); !known {
		return "", false
	}
	return l.Lookuper.Lookup(key)
}

// settings are the places that a variable may be set at, the strongest first. A variable
// that is set to nothing counts as not set, since CI systems pass on what they were not
// given as empty; unless more would go for it than was meant: see emptyIsMistake.
type settings []envconfig.Lookuper

// Lookup implements [envconfig.Lookuper].
func (s settings) Lookup(key string) (string, bool) {
	for _, place := range s {
		if value, set := place.Lookup(key); set && (value != "" || emptyIsMistake(key)) {
			return value, true
		}
	}
	return "", false
}

// emptyIsMistake reports whether a variable must not be set to nothing: a list or a pattern,
// for what was to be left out or kept would not be, and DRY_RUN.
func emptyIsMistake(name string) bool {
	field, _ := variableNamed(name)
	switch field.Type {
	case reflect.TypeFor[[]string](), reflect.TypeFor[pattern]():
		return true
	default:
		return name == "DRY_RUN"
	}
}

// helpWidth is how wide --help is at most, in columns.
const helpWidth = 100

// writeVariables prints the variables, each with its default and what it is for. A default
// that is wide pushes the rest of its line to the right, and not the column of all others.
func writeVariables(w io.Writer) {
	const name, value = 22, 23 // how wide these columns are
	below := strings.Repeat(" ", 2+name+value)
	for field := range reflect.TypeFor[Config]().Fields() {
		variable, standard := variableOf(field)
		if standard == "" {
			standard = field.Tag.Get("default")
		}
		line := fmt.Sprintf("  %-*s%-*s", name, variable, value, standard+"  ")
		margin := len(line)
		for word := range strings.FieldsSeq(field.Tag.Get("is")) {
			if len(line) > margin && len(line)+len(word) > helpWidth {
				fmt.Fprintln(w, strings.TrimRight(line, " "))
				line, margin = below, len(below)
			}
			line += word + " "
		}
		fmt.Fprintln(w, strings.TrimRight(line, " "))
	}
}

// What merge is for and how it ends, in its own help and in that of the program.
const (
	mergeText = `merge makes one report out of those of the shards of one run: it reads each DIR, or the
folders of shards in it, prints one summary and writes the reports to --report-dir (-o),
which stands for REPORT_DIR. It sends no request, and needs no other variable.
`
	mergeCodes = `merge ends as one run would have: with 1 also if a shard is missing or was killed, with
3 also if one was interrupted.
`
)

// writeCommandHelp prints what a command needs to be told.
func writeCommandHelp(w io.Writer, command string) error {
	switch command {
	case commandPlan:
		return writePlanHelp(w)
	case commandApply:
		return writeApplyHelp(w)
	default:
		return writeHelp(w)
	}
}

// writePlanHelp prints what plan needs to be told.
func writePlanHelp(w io.Writer) error {
	_, err := fmt.Fprint(w, `usage: registry-gc plan [--gitlab-url URL] [--token TOKEN] [-o FILE]

plan does all that run does, and changes nothing. What would be deleted stands in FILE, or in
REPORT_DIR/plan.jsonl: a header, and a line for each tag, by project, repository and tag. Lines
may be taken out, with an editor or in report.html; then apply deletes what is left.

It ends as a run does; registry-gc --help lists variables and exit codes.
`)
	return err
}

// writeApplyHelp prints what apply needs to be told.
func writeApplyHelp(w io.Writer) error {
	_, err := fmt.Fprint(w, `usage: registry-gc apply [--gitlab-url URL] [--token TOKEN] [--max-age 7d] [--dry-run] [--yes]
                         FILE...

apply deletes what is in a plan: each tag that still has the same digest, and that the rules
in force still delete when all is read again. It visits the repositories of the plan and no
others. Of every other tag it says why it stays: changed, gone-already, or the rule that keeps
it now. A plan older than --max-age is refused, 0 for any age; so is one in which a line was
changed, or that is of another instance.

The variables of a run are obeyed, but for those of its scope. Exit codes are those of a run: 0
also when tags are gone or have changed meanwhile.
`)
	return err
}

// writeRulesHelp prints what rules can be told.
func writeRulesHelp(w io.Writer) error {
	_, err := fmt.Fprint(w, `usage: registry-gc rules [--rules default|original|FILE]
       registry-gc rules --check FILE

rules prints the rules in force, which RULES or --rules names. Above them stand, as
comments, those that hold whatever a file says: what is printed is itself a file of rules,
with the same meaning, to be changed and named in RULES.
--check says of each mistake in FILE where it is, and what is meant or known there.

It sends no request and needs neither GITLAB_URL nor a token. The variables that rules know
as settings, such as MIN_AGE, are obeyed.

exit codes:
  0      done; with --check, there are no mistakes
  1      what there is to print could not be written
  2      bad configuration or usage, or mistakes
`)
	return err
}

// writeExplainHelp prints what explain needs to be told.
func writeExplainHelp(w io.Writer) error {
	_, err := fmt.Fprint(w, `usage: registry-gc explain [--gitlab-url URL] [--token TOKEN] [--rules RULES]
                           GROUP/PROJECT[/REPOSITORY]:TAG

explain shows what is known of one tag and where it comes from, what each rule makes of it,
and what a run would do with it. It looks for all that the rules speak of, also what a run
would not need to decide. It changes nothing: a token with scopes read_api and
read_registry will do.

The variables of a run are obeyed; registry-gc --help lists them.

exit codes:
  0      done, whether the tag goes or stays
  1      the tag is not there, or something could not be read
  2      bad configuration or usage
  128+n  interrupted by signal n
`)
	return err
}

// writeUndoHelp prints what undo needs to be told.
func writeUndoHelp(w io.Writer) error {
	_, err := fmt.Fprint(w, `usage: registry-gc undo [--gitlab-url URL] [--token TOKEN] [--dry-run]
                        [--repository REGEX] [--tag REGEX] JOURNAL...

undo brings deleted tags back, as long as the registry keeps what they pointed to: without
metadata database until the next registry-garbage-collect -m, with it for about a day. A
JOURNAL is what a run has written to the folder journal of its reports, or its log in JSON;
- is standard input. Of each tag the last deletion counts.
A tag that exists is never moved. --repository and --tag bring back only what matches, the
first the full path, anywhere unless anchored. --dry-run looks what could be brought back,
and changes nothing. It can be repeated.

The token needs the role Developer, and scope api, or read_registry and write_registry;
for a dry run read_registry will do. To learn from GitLab where the registry is it takes
read_api, too, unless REGISTRY_URL says it. The variables of a run are obeyed, as far as
they are about GitLab and requests; registry-gc --help lists them.

exit codes:
  0      done: all tags are there
  1      stopped by an error; what was not reached is counted
  2      bad configuration or usage, or a journal of another instance
  3      done, but some tags could not be brought back
  128+n  interrupted by signal n
`)
	return err
}

// writeMergeHelp prints what merge needs to be told.
func writeMergeHelp(w io.Writer) error {
	_, err := fmt.Fprint(w, `usage: registry-gc merge [--report-dir DIR] DIR...

`+mergeText+`LOG_FORMAT and LOG_LEVEL are obeyed.

`+mergeCodes+`registry-gc --help lists the exit codes.
`)
	return err
}

// writeHelp prints the contract: flags, variables and exit codes.
func writeHelp(w io.Writer) error {
	fmt.Fprint(w, `registry-gc removes dead tags from GitLab's container registry: build caches whose
image is gone, and tags that GitLab cannot show and therefore never cleans up.

usage: registry-gc [run] [--gitlab-url URL] [--token TOKEN] [--dry-run] [--yes]
       registry-gc COMMAND ...

commands (registry-gc COMMAND --help says more):
  run                                      the job; what the program does without a command
  plan [-o FILE]                           a run that changes nothing, and writes down what would go
  apply [--max-age 7d] FILE...             delete what is in a plan and is still what was planned
  explain GROUP/PROJECT[/REPOSITORY]:TAG   all facts of a tag, the rules, and the verdict
  undo JOURNAL...                          bring deleted tags back
  rules                                    print the rules in force
  rules --check FILE                       say what is wrong with a file of rules, and where
  merge [--report-dir DIR] DIR...          make one report out of those of shards
  version                                  print the version, and what it was built from

On a terminal run plans first, shows what would be deleted and asks; --yes does not ask. Elsewhere
it never asks.

The flags stand for GITLAB_URL, GITLAB_TOKEN and DRY_RUN, and are stronger. So is a
variable with REGISTRY_GC_ before its name, than the one without it. A token on
the command line can be seen by other users of the machine; prefer the variable.
--help prints this text, --version the version.

`+mergeText+`
variables:
`)
	writeVariables(w)
	_, err := fmt.Fprint(w, `
Proxy and certificate settings are the usual ones: HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE.

exit codes:
  0      done
  1      stopped by an error that ends a run
  2      bad configuration or usage
  3      done, but some tags are undecided or failed, something could not be read, or
         MAX_RUNTIME was over
  4      a guard stopped the deletions: the registry seems to be failing, every deletion is
         refused alike, or more tags would have gone than MAX_DELETIONS allows
  128+n  interrupted by signal n

`+mergeCodes)
	return err
}
