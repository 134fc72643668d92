package policy

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"cel.dev/cel-go/common/types"
	"github.com/google/go-cmp/cmp"
)

// documented is the page that explains rules to administrators.
const documented = "../../docs/rules.md"

// typeInWords says as the page does what a term can be.
func typeInWords(t *term) string {
	if t.values != nil && t.typ.Kind() == types.StringKind {
		last := len(t.values) - 1
		return "`" + strings.Join(t.values[:last], "`, `") + "` or `" + t.values[last] + "`"
	}
	return map[types.Kind]string{
		types.StringKind: "text", types.BoolKind: "true or false", types.IntKind: "number",
		types.DurationKind: "duration", types.ListKind: "list of texts",
	}[t.typ.Kind()]
}

// TestEveryFactIsDocumented: the page's tables have all that conditions can speak of, with its
// type, in the same order, and nothing else.
func TestEveryFactIsDocumented(t *testing.T) {
	text, err := os.ReadFile(documented)
	if err != nil {
		t.Fatal(err)
	}
	var want, got [][]string
	for _, term := range vocabulary {
		want = append(want, []string{string(term.name), typeInWords(term)})
	}
	_, tables, _ := strings.Cut(string(text), "\n## Facts\n")
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_.]+)` \\| ([^|]*) \\|").FindAllStringSubmatch(tables, -1) {
		got = append(got, row[1:])
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("facts (-vocabulary +page):\n%s", diff)
	}
	for _, rule := range regexp.MustCompile(`(?:tag|repository|project|registry|settings)\.[a-z_]+`).FindAllString(string(text), -1) {
		if termOf(rule) == nil && !strings.HasPrefix(rule, "repository.git") {
			t.Errorf("the page speaks of %s, which there is not", rule)
		}
	}
}

// TestExamplesCompile: whoever copies one of the page's files has one that works.
func TestExamplesCompile(t *testing.T) {
	text, err := os.ReadFile(documented)
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(examples) < 10 {
		t.Errorf("%d examples", len(examples))
	}
	for _, example := range examples {
		file, err := Parse("example", []byte(example[1]))
		if err == nil {
			_, err = Compile(file, Settings{ProtectedTagsRegex: "^v"})
		}
		if err != nil {
			t.Errorf("%v in\n%s", err, example[1])
		}
	}
}
