package main

import (
	"reflect"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// completionCommand makes cobra's command this program's: it says what is wrong, and how its help looks.
func completionCommand(command *cobra.Command) {
	command.Short = "print what makes a shell complete commands, flags and values"
	command.Long = "completion prints a script that makes a shell complete commands, flags and values. The help of each\nshell's own command says where the script goes."
	command.Example = "  source <(registry-gc completion bash)\n  registry-gc completion zsh --help"
	command.Args = func(_ *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usage("completion is for bash, zsh, fish and powershell")
		}
		return nil
	}
	command.RunE = func(command *cobra.Command, _ []string) error { return command.Help() }
}

// choices are the values of settings that have only a few; those with the tag "one_of" are not among them.
var choices = map[string][]string{
	"LOG_LEVEL": {"debug", "info", "warn", "error"},
	"RULES":     {defaultRules, originalRules},
	"IN_USE":    {inUseEnvironments},
}

// ofFiles are the settings that may be files, besides.
var ofFiles = map[string]cobra.ShellCompDirective{
	"GITLAB_TOKEN_FILE": cobra.ShellCompDirectiveDefault,
	"RULES":             cobra.ShellCompDirectiveDefault,
	"IN_USE":            cobra.ShellCompDirectiveDefault,
	"REPORT_DIR":        cobra.ShellCompDirectiveFilterDirs,
}

// completeFlags tells shells what the values of a command's flags can be. Without that they would offer files
// for all.
func completeFlags(command *cobra.Command) {
	command.Flags().VisitAll(func(flag *pflag.Flag) {
		var words []string
		directive := cobra.ShellCompDirectiveNoFileComp
		switch variable := flag.Annotations[ofSetting]; {
		case variable != nil:
			words = choicesOf(variable[0])
			if files, may := ofFiles[variable[0]]; may {
				directive = files
			}
		case flag.Name == "output":
			words = []string{"table", "json"}
		case flag.Name == "check" || flag.Name == "plan-file":
			directive = cobra.ShellCompDirectiveDefault
		}
		_ = command.RegisterFlagCompletionFunc(flag.Name, cobra.FixedCompletions(words, directive)) // fails for a flag twice
	})
	if command.ValidArgsFunction == nil {
		command.ValidArgsFunction = cobra.NoFileCompletions
	}
}

// choicesOf returns the values that a setting can have, if they are few.
func choicesOf(variable string) []string {
	field, _ := variableNamed(variable)
	few, limited := field.Tag.Lookup("one_of")
	switch {
	case limited:
		return strings.Split(few, ",")
	case field.Type.Kind() == reflect.Bool:
		return []string{"true", "false"}
	case variable == "DELETE_KINDS":
		var words []string
		for _, kind := range kinds {
			words = append(words, string(kind))
		}
		return words
	default:
		return choices[variable]
	}
}

// completeFiles offers files as arguments.
func completeFiles(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveDefault
}

// completeFolders offers folders as arguments.
func completeFolders(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}
