package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/sethvargo/go-envconfig"
)

var update = flag.Bool("update", false, "write the tables of settings into the documents")

// generated is what stands in a document between the lines that mark the table of settings.
var generated = regexp.MustCompile(`(?s)(<!-- settings, made by make docs -->\n).*?(<!-- end of settings -->\n)`)

// mayHaveTable are the documents that may have the table of settings; the first does.
var mayHaveTable = []string{"docs/settings.md", "deploy/helm/registry-gc/README.md"}

// TestDocumentedSettings: the table of settings in the documents is the one that Config makes; make docs
// writes it.
func TestDocumentedSettings(t *testing.T) {
	for i, name := range mayHaveTable {
		path := filepath.Join(moduleRoot, name)
		text := readText(t, path)
		if !generated.MatchString(text) {
			if i == 0 {
				t.Errorf("%s has no table of settings", name)
			}
			continue
		}
		made := generated.ReplaceAllStringFunc(text, func(old string) string {
			match := generated.FindStringSubmatch(old)
			return match[1] + settingsTable() + match[2]
		})
		switch {
		case made == text:
		case *update:
			if err := os.WriteFile(path, []byte(made), 0o644); err != nil {
				t.Fatal(err)
			}
		default:
			t.Errorf("%s is out of date: make docs", name)
		}
	}
}

// further is what the documents say of a setting beyond help.
var further = map[string]string{
	"RULES":           "see [Rules](rules.md)",
	"DELETE_KINDS":    "see [What is deleted](what-is-deleted.md)",
	"IN_USE":          "see [Images in use](what-is-deleted.md#images-in-use)",
	"SHARD_INDEX":     "see [Several machines](several-machines.md)",
	"PUSHGATEWAY_URL": "see [Metrics](reports.md#metrics)",
}

// settingsTable returns the settings as a table of Markdown for each group.
func settingsTable() string {
	variables := regexp.MustCompile(`\b[A-Z]+(?:_[A-Z]+)+\b`)
	var text strings.Builder
	for _, group := range groups {
		text.WriteString("\n### " + group.title + "\n\n| variable | default | flag | |\n|---|---|---|---|\n")
		for field := range reflect.TypeFor[Config]().Fields() {
			if field.Tag.Get("group") != group.name {
				continue
			}
			variable, _ := variableOf(field)
			is := quoted.ReplaceAllString(field.Tag.Get("is"), "$1`$2`")
			is = variables.ReplaceAllString(is, "`$0`")
			if more := further[variable]; more != "" {
				is += "; " + more
			}
			text.WriteString("| `" + variable + "` | `" + defaultOf(field) + "` | `--" + flagOf(variable) + "` | " + is + " |\n")
		}
	}
	return text.String() + "\n"
}

// TestManualPages: there is a page for each command that people are told of, in which stands what means itself.
func TestManualPages(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "man1")
	var out bytes.Buffer
	if code := run(t.Context(), []string{"man", dir}, envconfig.MapLookuper(nil), nil, nil, &out, &out); code != exitDone || out.Len() > 0 {
		t.Fatalf("code %d: %s", code, &out)
	}
	for _, name := range commandNames((&program{}).commands()) {
		if name != "help" {
			_ = readText(t, filepath.Join(dir, "registry-gc-"+name+".1"))
		}
	}
	page := readText(t, filepath.Join(dir, "registry-gc-plan.1"))
	for _, part := range []string{`.TH "REGISTRY-GC-PLAN" "1"`, `\fB--protected-tags-regex\fP=none`, `besides ^v.*\\`, `$PROTECTED_TAGS_REGEX`, "registry-gc plan -o plan.jsonl"} {
		if !strings.Contains(page, part) {
			t.Errorf("the page of plan lacks %q", part)
		}
	}
}
