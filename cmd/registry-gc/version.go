package main

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// What the linker sets in releases and images, whose source has no history: the version, the
// commit, and the commit's date. What it has not set is asked of what Go has recorded.
var (
	linkedVersion string
	linkedCommit  string
	linkedDate    string
)

// thisBuild is what this program was built from, and version the part of it that reports, plans,
// the log and the header User-Agent name.
var (
	thisBuild = recorded(build{Version: linkedVersion, Commit: linkedCommit, Date: linkedDate})
	version   = thisBuild.Version
)

// A build says what the program was built from. What is not known is empty, but for the version.
type build struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Date     string `json:"date,omitempty"`     // the commit's, so that the same source makes the same program
	Modified bool   `json:"modified,omitempty"` // the source was not that of the commit
}

// unversioned is the version of a build that nobody gave one.
const unversioned = "dev"

// recorded completes what the linker has set by what Go has recorded of the running program.
func recorded(linked build) build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = new(debug.BuildInfo)
	}
	return linked.completed(info)
}

// pseudoVersion is how Go names a commit that has no version: with its date and its hash.
var pseudoVersion = regexp.MustCompile(`[-.](\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)-([0-9a-f]{12})(?:\+.*)?$`)

// completed returns the build with what Go has recorded in the place of what is empty. A checkout
// has a history to record; a module that go install has fetched has a version alone. What the
// linker says of the commit is not mixed with what was recorded of another.
func (b build) completed(info *debug.BuildInfo) build {
	if b.Version == "" {
		b.Version = unversioned
		// Go's word for what it builds where it has no version for it.
		if recorded := info.Main.Version; recorded != "" && recorded != "(devel)" {
			b.Version = recorded
		}
	}
	if b.Commit != "" || b.Date != "" {
		return b
	}
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			b.Commit = setting.Value
		case "vcs.time":
			b.Date = setting.Value
		case "vcs.modified":
			b.Modified = setting.Value == "true"
		}
	}
	if match := pseudoVersion.FindStringSubmatch(info.Main.Version); match != nil && b.Commit == "" {
		b.Commit = match[7]
		b.Date = fmt.Sprintf("%s-%s-%sT%s:%s:%sZ", match[1], match[2], match[3], match[4], match[5], match[6])
	}
	return b
}

// String is what --version prints: the version on a line of its own, for scripts, and a line for
// each further thing that is known.
func (b build) String() string {
	var text strings.Builder
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&text, "  %-8s  %s\n", name, value)
		}
	}
	fmt.Fprintf(&text, "registry-gc %s\n", b.Version)
	commit := b.Commit
	if commit != "" && b.Modified {
		commit += ", modified"
	}
	row("commit", commit)
	row("date", b.Date)
	row("go", runtime.Version())
	row("platform", runtime.GOOS+"/"+runtime.GOARCH)
	return text.String()
}

// versionCommand returns the command that prints what the program was built from.
func (p *program) versionCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "version",
		Short: "print the version, and what it was built from",
		Long: `version prints the version of this program, the commit that it was built from and its date, as
far as these are known, the version of Go, and the platform. registry-gc --version prints the same.`,
		Example: `  registry-gc version
  registry-gc version --output json`,
		RunE: p.does(p.version),
	}
	p.addOutput(command.Flags(), "")
	return command
}

// version prints what this program was built from. It reads no setting.
func (p *program) version(context.Context, []string) int {
	if p.json {
		return codeOf(writeJSON(p.stdout, struct {
			build
			Go       string `json:"go"`
			Platform string `json:"platform"`
		}{thisBuild, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}))
	}
	_, err := io.WriteString(p.stdout, thisBuild.String())
	return codeOf(err)
}
