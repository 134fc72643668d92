package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"
)

// helpWidth is how wide help is at most, in columns, and minHelpWidth how narrow where a terminal is.
const (
	helpWidth    = 100
	minHelpWidth = 70
)

// helpColumns returns how wide help is.
func (p *program) helpColumns() int {
	if file, ok := p.stdout.(*os.File); ok {
		if width, _, err := term.GetSize(int(file.Fd())); err == nil {
			return min(max(width, minHelpWidth), helpWidth)
		}
	}
	return helpWidth
}

// helpCommand returns the command that prints the help of another.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "show help for a command",
		Long:    "help shows what a command does, and which flags and settings it has.",
		Example: "  registry-gc help plan",
		Args: func(command *cobra.Command, args []string) error {
			if len(args) == 0 || found(command, args[0]) != nil {
				return nil
			}
			return noArguments(command, args)
		},
		ValidArgsFunction: func(command *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return commandNames(command.Root()), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(command *cobra.Command, args []string) error {
			if len(args) == 0 {
				return command.Root().Help()
			}
			other := found(command, args[0])
			other.InitDefaultHelpFlag() // as if it had been called with it
			return other.Help()
		},
	}
}

// found returns the command of a name, nil if there is none.
func found(command *cobra.Command, name string) *cobra.Command {
	for _, other := range command.Root().Commands() {
		if other.Name() == name {
			return other
		}
	}
	return nil
}

// help prints what a command does, how it is called, and what it can be told.
func (p *program) help(command *cobra.Command, _ []string) {
	var text strings.Builder
	text.WriteString(cmp.Or(command.Long, command.Short) + "\n\nUsage:\n  " + command.UseLine() + "\n")
	if command.Example != "" {
		text.WriteString("\nExamples:\n" + command.Example + "\n")
	}
	writeCommands(&text, command)
	width := p.helpColumns()
	writeFlags(&text, command, width)
	writeSettings(&text, command, width)
	if codes := exitCodes[nameOf(command)]; codes != "" {
		text.WriteString("\nExit codes:\n" + codes)
	}
	_, err := io.WriteString(p.stdout, text.String())
	p.code = codeOf(err)
}

// writeCommands prints the commands below one.
func writeCommands(w io.Writer, command *cobra.Command) {
	if !command.HasAvailableSubCommands() {
		return
	}
	fmt.Fprint(w, "\nCommands:\n")
	for _, sub := range command.Commands() {
		if !sub.Hidden {
			fmt.Fprintf(w, "  %-12s%s\n", sub.Name(), sub.Short)
		}
	}
}

// writeFlags prints the flags of a command that are no settings.
func writeFlags(w io.Writer, command *cobra.Command, width int) {
	own := pflag.NewFlagSet("", pflag.ContinueOnError)
	own.SortFlags = false
	command.NonInheritedFlags().VisitAll(func(f *pflag.Flag) {
		if f.Annotations[ofSetting] == nil {
			own.AddFlag(f)
		}
	})
	fmt.Fprint(w, "\nFlags:\n"+own.FlagUsagesWrapped(width))
}

// writeSettings prints the settings of a command, each with its variable, its flag, what it is for, and what
// it is by default.
func writeSettings(w io.Writer, command *cobra.Command, width int) {
	const name, flag = 22, 24 // how wide these columns are
	used := uses[nameOf(command)].flags
	if len(used) == 0 {
		return
	}
	fmt.Fprintf(w, "\nSettings, each an environment variable and a flag, which is stronger. Every variable may have\n%s before its name, and is then stronger than without.\n", ownPrefix)
	for _, group := range groups {
		title := "\n" + group.title + ":\n"
		for field := range reflect.TypeFor[Config]().Fields() {
			if field.Tag.Get("group") != group.name || !has(used, field) {
				continue
			}
			variable, _ := variableOf(field)
			begin := fmt.Sprintf("  %-*s%-*s", name, variable, flag, "--"+flagOf(variable))
			fmt.Fprint(w, title)
			writeWords(w, begin, utf8.RuneCountInString(begin), width, append(strings.Fields(unquoted(field.Tag.Get("is"))), "(default: "+defaultOf(field)+")"))
			title = ""
		}
	}
	if !slices.Contains(used, "required") {
		return // it sends no request
	}
	fmt.Fprint(w, "\nTimes are written in days, hours, minutes and seconds: 30d, 1d12h, 90m. --token is --gitlab-token.\n"+
		"Proxies and certificates are set as usual: HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE.\n")
}

// quoted is what is typed, as the tag "is" writes it.
var quoted = regexp.MustCompile(`(^|[ (])'([^']+)'`)

// unquoted returns the text of a tag without the quotes around what is typed.
func unquoted(text string) string { return quoted.ReplaceAllString(text, "$1$2") }

// exitCodes say of a command how it can end.
var exitCodes = map[string]string{
	commandRun:   runCodes,
	commandPlan:  runCodes,
	commandApply: runCodes,
	"explain": `  0      done, whether the tag would be deleted or not
  1      the tag is not there, or something could not be read
  2      bad configuration or usage
  128+n  interrupted by signal n
`,
	"undo": `  0      done: all tags are there
  1      stopped by an error; what was not reached is counted
  2      bad configuration or usage, or a journal of another instance
  3      done, but some tags could not be brought back (or INCOMPLETE_EXIT_CODE)
  128+n  interrupted by signal n
`,
	"rules": `  0      done; with --check, there are no mistakes
  1      what there is to print could not be written
  2      bad configuration or usage, or mistakes
`,
	"merge": `  as one run would have ended: also 1 if a shard is missing or was killed, 3 (or
  INCOMPLETE_EXIT_CODE) if one was interrupted
`,
}

// runCodes are the exit codes of the contract with users.
const runCodes = `  0      done
  1      stopped by an error that ends a run
  2      bad configuration or usage
  3      done, but some tags are undecided or failed, something could not be read, or MAX_RUNTIME
         was over (or INCOMPLETE_EXIT_CODE)
  4      a guard stopped the deletions: the registry seems to be failing, every deletion is refused
         alike, or more tags would have been deleted than MAX_DELETIONS allows
  128+n  interrupted by signal n
`
