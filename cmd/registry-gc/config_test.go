package main

import (
	"testing"

	"github.com/sethvargo/go-envconfig"

	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// TestProtection: what is named is protected besides the defaults, whatever is named.
func TestProtection(t *testing.T) {
	defaults := []string{"latest", "master", "main", "v1.2.3", "v.."}
	for name, test := range map[string]struct {
		environment   map[string]string
		protects, not []string
	}{
		"nothing named":      {nil, defaults, []string{"production", "v1.2", "Latest", "xv1.2.3"}},
		"names":              {map[string]string{"PROTECTED_TAGS": "production, stable"}, append([]string{"production", "stable"}, defaults...), []string{"prod"}},
		"a pattern":          {map[string]string{"PROTECTED_TAGS_REGEX": "^release-|^rc$"}, append([]string{"release-1", "rc"}, defaults...), []string{"rc1", "a-release-"}},
		"a flag":             {map[string]string{"PROTECTED_TAGS_REGEX": "(?i)^prod"}, append([]string{"PROD"}, defaults...), []string{"V1.2.3", "LATEST"}},
		"an open quotation":  {map[string]string{"PROTECTED_TAGS_REGEX": `\Qa.b`}, append([]string{"a.b"}, defaults...), []string{"acb"}},
		"nothing at all":     {map[string]string{"PROTECT_DEFAULTS": "false"}, nil, append([]string{"production", ""}, defaults...)},
		"only what is named": {map[string]string{"PROTECT_DEFAULTS": "false", "PROTECTED_TAGS": "main", "PROTECTED_TAGS_REGEX": "^x"}, []string{"main", "x1"}, []string{"latest", "v1.2.3"}},
	} {
		t.Run(name, func(t *testing.T) {
			config := new(Config)
			if problems := config.load(t.Context(), envconfig.MapLookuper(test.environment), ofRules); problems != nil {
				t.Fatal(problems)
			}
			rules, err := config.compileRules()
			if err != nil {
				t.Fatal(err)
			}
			protects := func(tag string) bool {
				return rules.Decide(&policy.Facts{Tag: policy.Tag{Name: tag}}).Reason == "protected"
			}
			for _, tag := range test.protects {
				if !protects(tag) {
					t.Errorf("%q is not protected", tag)
				}
			}
			for _, tag := range test.not {
				if protects(tag) {
					t.Errorf("%q is protected", tag)
				}
			}
		})
	}
}
