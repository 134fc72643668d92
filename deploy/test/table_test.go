package deploy_test

import (
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "write the chart's table of values")

// TestValuesTable: the table in the chart's README has the values of values.yaml, with their defaults and with
// what is said of them there.
func TestValuesTable(t *testing.T) {
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(readText(t, chartDir+"/values.yaml")), &document); err != nil {
		t.Fatal(err)
	}
	table := "\n| value | default | |\n|---|---|---|\n" + strings.Join(rows(t, "", document.Content[0]), "")
	const file, begin, end = chartDir + "/README.md", "in deploy/test -->\n", "<!-- end -->"
	readme := readText(t, file)
	before, rest, _ := strings.Cut(readme, begin)
	got, after, found := strings.Cut(rest, end)
	if !found {
		t.Fatalf("%s has no place for the table", file)
	}
	table += "\n"
	if *update {
		if err := os.WriteFile(file, []byte(before+begin+table+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		got = table
	}
	if diff := cmp.Diff(table, got); diff != "" {
		t.Errorf("the table is not that of values.yaml, -update makes it (-want +got):\n%s", diff)
	}
}

// rows are the lines of a mapping. Of what Kubernetes writes (resources), which nothing is said of, it is one.
func rows(t *testing.T, path string, mapping *yaml.Node) (lines []string) {
	t.Helper()
	for i := 0; i < len(mapping.Content); i += 2 {
		key, value := mapping.Content[i], mapping.Content[i+1]
		name, comment := path+key.Value, clean(key.HeadComment)
		if comment == "" && value.Kind != yaml.MappingNode {
			t.Errorf("values.yaml does not say what %s is", name)
		}
		switch {
		case name == "config":
			lines = append(lines, "| `config` | | "+comment+" |\n")
			for j := 0; j < len(value.Content); j += 2 {
				if set := value.Content[j+1]; set.Tag != "!!null" && set.Value != "" {
					lines = append(lines, "| `config."+value.Content[j].Value+"` | `"+set.Value+"` | "+clean(value.Content[j].HeadComment)+" |\n")
				}
			}
		case value.Kind == yaml.MappingNode && len(value.Content) > 0 && value.Content[0].HeadComment != "":
			if comment != "" {
				lines = append(lines, "| `"+name+"` | | "+comment+" |\n")
			}
			lines = append(lines, rows(t, name+".", value)...)
		default:
			var decoded any
			if err := value.Decode(&decoded); err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(decoded)
			if err != nil {
				t.Fatal(err)
			}
			lines = append(lines, "| `"+name+"` | `"+string(text)+"` | "+comment+" |\n")
		}
	}
	return lines
}

// clean makes one line of a comment, fit for a table.
func clean(comment string) string {
	var words []string
	for line := range strings.Lines(comment) {
		words = append(words, strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "#"))...)
	}
	return strings.ReplaceAll(strings.Join(words, " "), "|", `\|`)
}
