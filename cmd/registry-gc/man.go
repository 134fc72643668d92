package main

import (
	"context"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"
)

// markdown escapes what a text means literally, as pages are made of Markdown.
var markdown = strings.NewReplacer(`\`, `\\`, "*", `\*`, "_", `\_`)

// manCommand returns the command that writes the manual pages, for whoever makes a package of the program.
func (p *program) manCommand() *cobra.Command {
	command := &cobra.Command{
		Use:     "man DIR",
		Short:   "write manual pages",
		Long:    "man writes a manual page for each command to a folder, which is made if it is not there.",
		Example: "  registry-gc man /usr/local/share/man/man1",
		Hidden:  true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage("man needs a folder to write to")
			}
			return nil
		},
		ValidArgsFunction: completeFolders,
	}
	command.RunE = p.does(func(_ context.Context, args []string) int {
		root := command.Root()
		root.DisableAutoGenTag = true // it names the day, and the same source is to give the same pages
		header := &doc.GenManHeader{Section: "1", Source: "registry-gc", Manual: "registry-gc"}
		if at, err := time.Parse(time.RFC3339, thisBuild.Date); err == nil {
			header.Date = &at
		}
		for _, sub := range append(root.Commands(), root) {
			sub.Flags().VisitAll(func(f *pflag.Flag) { f.Usage = markdown.Replace(f.Usage) })
		}
		err := os.MkdirAll(args[0], 0o755)
		if err == nil {
			err = doc.GenManTree(root, header, args[0])
		}
		if err != nil {
			refuse(p.stderr, usage("the manual pages cannot be written: "+withoutPath(err)))
		}
		return codeOf(err)
	})
	return command
}
