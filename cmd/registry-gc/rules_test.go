package main

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// TestPrintedRulesAreTheSame: what is printed is a file of the same rules, with the same reasons and
// explanations, however the file begins and ends.
func TestPrintedRulesAreTheSame(t *testing.T) {
	texts := map[string]string{
		"default":          policy.Default().Text,
		"original":         policy.Original().Text,
		"on one line":      "rules: [{name: old, delete: has(tag.age) && tag.age > settings.image_age}]",
		"a mark and dots":  "\ufeff---\nrules:\n- name: a # one\n  keep: true\n...\n",
		"with a directive": "%YAML 1.1\n---\nrules:\n# b is kept\n- {name: b, keep: tag.name == 'b'}\n",
		"lines of Windows": "# mine\r\nrules:\r\n# c is kept\r\n- name: c\r\n  keep: tag.name == 'c'\r\n",
	}
	for name, text := range texts {
		t.Run(name, func(t *testing.T) {
			file, err := policy.Parse(name, []byte(text))
			if err != nil {
				t.Fatal(err)
			}
			want, err := policy.Compile(file, policy.Settings{})
			if err != nil {
				t.Fatal(err)
			}
			printed := printedRules(file)
			again, err := policy.Parse(name, []byte(printed))
			if err != nil {
				t.Fatalf("%v\n%s", err, printed)
			}
			got, err := policy.Compile(again, policy.Settings{})
			if err != nil {
				t.Fatal(err)
			}
			guards := len(policy.Guards().Rules())
			if !slices.Equal(got.All()[:guards], want.All()[:guards]) {
				t.Error("the guards differ")
			}
			if diff := cmp.Diff(want.All(), got.All(), cmpopts.IgnoreFields(policy.Rule{}, "Line")); diff != "" {
				t.Error(diff)
			}
		})
	}
}
