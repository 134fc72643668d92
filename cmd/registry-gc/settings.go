package main

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/sethvargo/go-envconfig"
	"github.com/spf13/pflag"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

// Each setting is a variable, the same with REGISTRY_GC_ before its name, which is stronger, and a
// flag, which is stronger still. All three are made of the fields of Config.

// ownPrefix may stand before the name of any variable, which is then stronger than the bare
// name: that may be another program's, too.
const ownPrefix = "REGISTRY_GC_"

// A use says which settings a command has a use for, by group or by variable.
type use struct {
	flags     []string // these are its flags
	variables []string // these are read without being flags, as what is said of them depends on it
}

// The settings of a run, of requests and the log, and of the rules.
var (
	ofRuns     = []string{"required", "scope", "what", "safety", "speed", "output"}
	ofRequests = []string{"required", "REGISTRY_URL", "CONCURRENCY", "RATE_LIMIT", "RATE_BURST", "REQUEST_TIMEOUT", "MAX_RETRIES", "LOG_FORMAT", "LOG_LEVEL"}
	ofRules    = slices.Concat([]string{"RULES"}, knownToRules)
)

// knownToRules are the settings that rules may ask for.
var knownToRules = []string{"DELETE_KINDS", "ORPHANS", "MIN_AGE", "IMAGE_AGE", "PROTECTED_TAGS", "PROTECTED_TAGS_REGEX", "PROTECT_DEFAULTS"}

// uses has the commands that have settings. What a command has no use for it does not read: whoever
// has it set for a run, even wrongly, need not unset it.
var uses = map[string]use{
	commandRun:   {flags: ofRuns},
	commandPlan:  {flags: ofRuns},
	commandApply: {flags: []string{"required", "EXCLUDE", "SHARD_INDEX", "SHARD_COUNT", "what", "safety", "speed", "output"}, variables: []string{"scope"}},
	"explain":    {flags: slices.Concat(ofRequests, []string{"EXCLUDE", "what", "VERIFY"}), variables: []string{"GITLAB_GROUPS", "GITLAB_PROJECTS", "GITLAB_MEMBERSHIP"}},
	"undo":       {flags: slices.Concat(ofRequests, []string{"DRY_RUN", "INCOMPLETE_EXIT_CODE"})},
	"rules":      {flags: ofRules, variables: []string{"IN_USE"}},
	"merge":      {flags: []string{"REPORT_DIR", "LOG_FORMAT", "LOG_LEVEL", "INCOMPLETE_EXIT_CODE"}},
}

// has reports whether a field is among groups and variables.
func has(names []string, field reflect.StructField) bool {
	variable, _ := variableOf(field)
	return slices.Contains(names, variable) || slices.Contains(names, field.Tag.Get("group"))
}

// flagOf returns the name of a variable's flag.
func flagOf(variable string) string {
	return strings.ToLower(strings.ReplaceAll(variable, "_", "-"))
}

// defaultOf returns what a setting is unless it is set, in words where that is no value.
func defaultOf(field reflect.StructField) string {
	_, value := variableOf(field)
	if value == "" {
		value = field.Tag.Get("default")
	}
	return value
}

// ofSetting marks the flags that are settings.
const ofSetting = "setting"

// addSettings gives a command the flags of its settings.
func (p *program) addSettings(flags *pflag.FlagSet, command string) {
	for field := range reflect.TypeFor[Config]().Fields() {
		if !has(uses[command].flags, field) {
			continue
		}
		variable, _ := variableOf(field)
		flag := flags.VarPF(&settingFlag{p.flags, field, variable}, flagOf(variable), "", unquoted(field.Tag.Get("is"))+" ($"+variable+")")
		flag.DefValue = defaultOf(field) // for manual pages
		flag.Annotations = map[string][]string{ofSetting: {variable}}
		if field.Type.Kind() == reflect.Bool {
			flag.NoOptDefVal = "true"
		}
		if field.Name == "Token" { // as the script that this program replaces has it
			flags.VarPF(flag.Value, "token", "", "the same as --gitlab-token").Annotations = flag.Annotations
		}
	}
}

// A settingFlag is the value of a flag that sets a variable. Whether the value is good is seen when
// the settings are read.
type settingFlag struct {
	values   map[string]string // by variable
	field    reflect.StructField
	variable string
}

// String implements [pflag.Value].
func (f *settingFlag) String() string { return f.values[f.variable] }

// Type implements [pflag.Value].
func (f *settingFlag) Type() string {
	switch f.field.Type.Kind() {
	case reflect.Bool:
		return "bool"
	case reflect.Slice:
		return "list"
	case reflect.Int, reflect.Float64:
		return "number"
	default:
		return "text"
	}
}

// Set implements [pflag.Value]. Of a list that is given twice both count: a second --exclude must not
// take back the first.
func (f *settingFlag) Set(value string) error {
	// A CI system passes on what it was not given as an empty variable; an empty flag is a mistake,
	// such as --exclude "$EXCLUDED" where that is not set.
	if value == "" || looksLikeFlag(value) {
		return usagef("--%s needs a value", flagOf(f.variable))
	}
	before, twice := f.values[f.variable]
	switch {
	case twice && f.field.Type.Kind() == reflect.Slice:
		value = before + "," + value
	case twice && before != value:
		return usagef("--%s is given twice, with different values", flagOf(f.variable))
	}
	f.values[f.variable] = value
	return nil
}

// looksLikeFlag reports whether the value of a flag is rather the next flag: taken for a value it would not
// count, and of --dry-run that must not be.
func looksLikeFlag(value string) bool {
	return len(value) > 2 && strings.HasPrefix(value, "--") || strings.HasPrefix(value, "-") && meansDryRun(value)
}

// settings returns the settings that a command has a use for, the strongest first: its flags, variables with
// the prefix, variables.
func (p *program) settings(command string) envconfig.Lookuper {
	prefixed := envconfig.PrefixLookuper(ownPrefix, p.environment)
	return usedBy{command, settings{envconfig.MapLookuper(p.flags), ofConfig{prefixed}, p.environment}}
}

// flagsOf returns the flags of settings that were given and that another command has, too, as it would be given
// them: a command that people are told to go on with has to do the same. The token is never among them, nor is
// what makes a run a plan.
func (p *program) flagsOf(command string) (words []string) {
	for field := range reflect.TypeFor[Config]().Fields() {
		variable, _ := variableOf(field)
		value, given := p.flags[variable]
		if given && has(uses[command].flags, field) && field.Type != reflect.TypeFor[throttle.Secret]() && field.Name != "DryRun" {
			words = append(words, "--"+flagOf(variable)+"="+value)
		}
	}
	return words
}

// overruled says which settings were given in several places with different values, of which one counts.
func (p *program) overruled(command string) (texts []string) {
	prefixed := envconfig.PrefixLookuper(ownPrefix, p.environment)
	for field := range reflect.TypeFor[Config]().Fields() {
		variable, _ := variableOf(field)
		if !has(uses[command].flags, field) {
			continue
		}
		var places, values []string
		for _, place := range []struct {
			name string
			envconfig.Lookuper
		}{{"--" + flagOf(variable), envconfig.MapLookuper(p.flags)}, {ownPrefix + variable, prefixed}, {variable, p.environment}} {
			if value, set := (plainBools{place}).Lookup(variable); set && value != "" && !slices.Contains(values, value) {
				places, values = append(places, place.name), append(values, value)
			}
		}
		if len(places) > 1 {
			texts = append(texts, fmt.Sprintf("%s counts, and what is set by %s does not", places[0], strings.Join(places[1:], " and ")))
		}
	}
	return texts
}

// usedBy is an environment in which variables are not set that a command has no use for.
type usedBy struct {
	command string
	envconfig.Lookuper
}

// Lookup implements [envconfig.Lookuper].
func (u usedBy) Lookup(key string) (string, bool) {
	name := key
	if slices.Contains([]string{"JOB_COMPLETION_INDEX", "CI_NODE_INDEX", "CI_NODE_TOTAL"}, key) {
		name = "SHARD_INDEX" // which these stand for
	}
	used := uses[u.command]
	if field, known := variableNamed(name); known && !has(used.flags, field) && !has(used.variables, field) {
		return "", false
	}
	return u.Lookuper.Lookup(key)
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

// parseBool reads yes or no in the ways that people write it.
func parseBool(text string) (value, ok bool) {
	switch strings.ToLower(text) {
	case "true", "t", "yes", "y", "on", "1":
		return true, true
	case "false", "f", "no", "n", "off", "0":
		return false, true
	default:
		return false, false
	}
}

// plainBools are settings in which yes and no are written as Go writes them.
type plainBools struct{ envconfig.Lookuper }

// Lookup implements [envconfig.Lookuper].
func (p plainBools) Lookup(key string) (string, bool) {
	text, set := p.Lookuper.Lookup(key)
	if value, ok := parseBool(text); ok {
		text = strconv.FormatBool(value)
	}
	return text, set
}
