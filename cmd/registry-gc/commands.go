package main

import (
	"context"
	"io"

	"github.com/sethvargo/go-envconfig"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// A program is one call of registry-gc: what it is told, and where it reads and writes.
type program struct {
	environment    envconfig.Lookuper
	names          []string // of all variables in the environment
	stdin          io.Reader
	stdout, stderr io.Writer
	flags          map[string]string // settings that flags have set, by variable
	json           bool              // results are JSON
	quiet          bool              // no more than warnings
	code           int               // to exit with
}

// run is the program: it does what the command line and the environment say, and returns
// the exit code. The names are those of all variables in the environment.
func run(ctx context.Context, args []string, environment envconfig.Lookuper, names []string, stdin io.Reader, stdout, stderr io.Writer) int {
	p := &program{environment: environment, names: names, stdin: stdin, stdout: stdout, stderr: stderr, flags: make(map[string]string)}
	root := p.commands()
	root.SetArgs(append([]string{}, args...)) // of none cobra takes those of the process
	if err := root.ExecuteContext(ctx); err != nil {
		return refuse(stderr, shown(err))
	}
	return p.code
}

// commands returns the tree of commands, each of which is in a file of its name.
func (p *program) commands() *cobra.Command {
	cobra.EnableCommandSorting = false // they stand in the order in which they are used
	root := p.rootCommand()
	root.AddCommand(p.runCommand(), p.planCommand(), p.applyCommand(), p.undoCommand(), p.explainCommand(),
		p.rulesCommand(), p.mergeCommand(), p.versionCommand(), p.manCommand())
	root.SetHelpCommand(helpCommand())
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.SetHelpFunc(p.help)
	root.SetFlagErrorFunc(flagError)
	root.SilenceErrors, root.SilenceUsage = true, true
	for _, command := range append(root.Commands(), root) {
		if command.Name() == "completion" {
			completionCommand(command)
		}
		command.Flags().SortFlags = false
		if command.Args == nil {
			command.Args = noArguments
		}
		p.addSettings(command.Flags(), nameOf(command))
		completeFlags(command)
	}
	return root
}

// nameOf returns the name of a command; the program itself is a run.
func nameOf(command *cobra.Command) string {
	if !command.HasParent() {
		return commandRun
	}
	return command.Name()
}

// rootCommand returns what the program does without the name of a command: a run.
func (p *program) rootCommand() *cobra.Command {
	run := p.runCommand()
	run.Use = "registry-gc [COMMAND]"
	run.Short = "delete dead tags from GitLab's container registry"
	run.Long = `registry-gc deletes dead tags from GitLab's container registry: build caches whose image is
gone, and tags that GitLab cannot date and that its cleanup policies therefore never delete.

Without a command it does what run does.`
	run.Example = `  registry-gc plan -o plan.jsonl     # what would be deleted
  registry-gc apply plan.jsonl       # delete exactly that
  registry-gc run --dry-run          # a run that changes nothing
  registry-gc help COMMAND           # more about a command`
	var version bool
	addSwitch(run.Flags(), &version, "version", "", "print the version")
	runs := run.RunE
	run.RunE = func(command *cobra.Command, args []string) error {
		if version {
			return p.does(p.version)(command, args)
		}
		return runs(command, args)
	}
	return run
}

// does returns what a command does as cobra wants it.
func (p *program) does(do func(ctx context.Context, args []string) int) func(*cobra.Command, []string) error {
	return func(command *cobra.Command, args []string) error {
		p.code = do(command.Context(), args)
		return nil
	}
}

// A flagValue is the value of a flag that is no setting. Its function's error says what the value must be, and
// never what it was.
type flagValue struct {
	kind string // how help calls the value
	set  func(string) error
}

// String implements [pflag.Value].
func (f *flagValue) String() string { return "" }

// Type implements [pflag.Value].
func (f *flagValue) Type() string { return f.kind }

// Set implements [pflag.Value].
func (f *flagValue) Set(text string) error { return f.set(text) }

// addSwitch gives a command a flag that is on or off.
func addSwitch(flags *pflag.FlagSet, on *bool, name, letter, is string) {
	flag := flags.VarPF(&flagValue{"bool", func(text string) error {
		value, ok := parseBool(text)
		if *on = value; !ok {
			return usagef("--%s must be true or false", name)
		}
		return nil
	}}, name, letter, is)
	flag.NoOptDefVal = "true"
}

// addText gives a command a flag that has a text.
func addText(flags *pflag.FlagSet, to *string, name, letter, kind, is string) {
	flags.VarP(&flagValue{kind, func(text string) error {
		if *to = text; text == "" || looksLikeFlag(text) {
			return usagef("--%s needs a value", name)
		}
		return nil
	}}, name, letter, is)
}

// addOutput gives a command the flag that says in which form it prints what it has found.
func (p *program) addOutput(flags *pflag.FlagSet, hint string) {
	flags.Var(&flagValue{"table|json", func(text string) error {
		if p.json = text == "json"; !p.json && text != "table" {
			return usage("--output must be table or json" + hint)
		}
		return nil
	}}, "output", "form of what is printed: table for people, json for programs")
}

// addQuiet gives a command the flag that silences it.
func (p *program) addQuiet(flags *pflag.FlagSet) {
	addSwitch(flags, &p.quiet, "quiet", "q", "log nothing but warnings and errors, and show no progress")
}
