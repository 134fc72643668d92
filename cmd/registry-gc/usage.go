package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"gitlab.com/registry-gc/registry-gc/internal/edits"
)

// What is wrong with a command line is said without repeating it: any word of it may be the token in the
// wrong place, also glued to the name of a flag. cobra's own errors do repeat it, and are never shown.

// A usage is what is wrong with a command line.
type usage string

// Error implements error.
func (u usage) Error() string { return string(u) }

func usagef(format string, args ...any) error { return usage(fmt.Sprintf(format, args...)) }

// refuse prints each problem of a command line or of settings on a line of its own.
func refuse(w io.Writer, err error) int {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, problem := range joined.Unwrap() {
			refuse(w, problem)
		}
		return exitUsage
	}
	fmt.Fprintf(w, "registry-gc: %v\n", err)
	return exitUsage
}

// shown returns an error of cobra's as it may be shown.
func shown(err error) error {
	if own, ok := errors.AsType[usage](err); ok {
		return own
	}
	return usage("the command line cannot be understood; registry-gc --help shows how it is written")
}

// flagError says what is wrong with a flag, by its name at most.
func flagError(command *cobra.Command, err error) error {
	help := "; " + command.CommandPath() + " --help lists the flags"
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		word := "--" + unknown.GetSpecifiedName()
		if letters := unknown.GetSpecifiedShortnames(); letters != "" {
			word = "-" + letters // -dry-run is read as so many letters
		}
		return unknownFlag(command, word, help)
	}
	if own, ok := errors.AsType[usage](err); ok {
		return own
	}
	if lacking, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		return usagef("--%s needs a value%s", lacking.GetFlag().Name, help)
	}
	if invalid, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		return usagef("--%s has a value that it cannot have%s", invalid.GetFlag().Name, help)
	}
	return usage("unknown flag" + help)
}

// flagLike is what the name of a flag looks like. Nothing else is shown.
var flagLike = regexp.MustCompile(`^--[a-z]+(?:-[a-z]+)*$`)

// unknownFlag says that there is no such flag, and which one was meant.
func unknownFlag(command *cobra.Command, word, help string) error {
	word, _, _ = strings.Cut(word, "=")
	glued := false
	command.Flags().VisitAll(func(f *pflag.Flag) { glued = glued || strings.HasPrefix(word, "--"+f.Name) })
	shown := ""
	if flagLike.MatchString(word) && len(word) <= 22 && !glued {
		shown = " " + word
	}
	if meant := flagMeant(command, word); meant != "" {
		return usagef("unknown flag%s: did you mean --%s?", shown, meant)
	}
	return usage("unknown flag" + shown + help)
}

// meansDryRun reports whether a word is dry-run or nearly so. Who mistypes that is about to
// delete.
func meansDryRun(word string) bool {
	return edits.Between(normalized(word), "DRYRUN") <= 2
}

// flagMeant returns the flag that a word was meant to be; "" if none is like it.
func flagMeant(command *cobra.Command, word string) (meant string) {
	if command.Flags().Lookup("dry-run") != nil && meansDryRun(word) {
		return "dry-run"
	}
	word = normalized(word)
	least := min(3, len(word)/3+1) // of a short word nearly all letters could be others
	command.Flags().VisitAll(func(f *pflag.Flag) {
		n := edits.Between(word, normalized(f.Name))
		if withoutPrefix(f.Name) == word || len(word) >= 3 && strings.HasPrefix(normalized(f.Name), word) {
			n = min(n, 1)
		}
		if n < least {
			meant, least = f.Name, n
		}
	})
	return meant
}

// wordLike is what the name of a command looks like. Nothing else is shown: it may be the token.
var wordLike = regexp.MustCompile(`^[a-z]{2,12}$`)

// noArguments refuses words where none is expected: a mistyped command, or a flag without its dashes.
func noArguments(command *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	word := args[0]
	_, isBool := parseBool(word)
	switch names := commandNames(command.Root()); {
	case meansDryRun(word):
		return usage("unknown argument: did you mean --dry-run?")
	case isBool:
		return usage("a value of yes or no is written with =, such as --dry-run=false")
	case command.Name() == commandPlan:
		return usage("plan takes no arguments; -o FILE says where the plan is written")
	case command.Name() == "rules":
		return usage("rules takes no arguments; a file is checked by registry-gc rules --check FILE")
	case command.HasParent() && command.Name() != "help":
		return usagef("%s takes no arguments; %s --help says more", command.Name(), command.CommandPath())
	case !wordLike.MatchString(word):
		return usage("unknown argument: it is neither a flag nor a command; the commands are " + strings.Join(names, ", "))
	default:
		least, meant := 3, ""
		for _, name := range names {
			if n := edits.Between(word, name); n < least || len(word) >= 3 && strings.HasPrefix(name, word) {
				least, meant = min(n, least), name
			}
		}
		if meant != "" {
			return usagef("unknown command %s: did you mean %s?", word, meant)
		}
		return usagef("unknown command %s; the commands are %s", word, strings.Join(names, ", "))
	}
}

// commandNames returns the names of the commands that people are told of.
func commandNames(root *cobra.Command) (names []string) {
	for _, command := range root.Commands() {
		if !command.Hidden {
			names = append(names, command.Name())
		}
	}
	return names
}

// fileError returns why a file that the command line names cannot be read. It shows the name where that looks
// like one: it may be the token in the wrong place.
func fileError(name string, err error) error {
	if extension := filepath.Ext(name); strings.ContainsAny(name, `/\`) || slices.Contains([]string{".json", ".jsonl", ".log", ".txt"}, extension) {
		return fmt.Errorf("%s: %s", name, withoutPath(err))
	}
	return usage("a file or folder that the command line names cannot be read: " + withoutPath(err))
}
