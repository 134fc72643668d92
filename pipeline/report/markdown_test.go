package report

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

func markdownOf(t *testing.T, summary *Summary) string {
	t.Helper()
	var out strings.Builder
	if err := summary.WriteMarkdown(&out, Text{}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestWriteMarkdown(t *testing.T) {
	summary := countEvents(t, true, append(events(), dead("g/p/app.cache", manifest.KindCacheIndex, 3<<30, Marked))...)
	summary.GitLabURL, summary.User, summary.Plans = "https://gitlab.example.com", "root_1", []string{"reports/plan.jsonl"}
	summary.Rules = byDefault(t)
	want := `### registry-gc: 3 of 6 tags would be deleted (50 %), 3.0 GiB or more, in 2 of 1 project

Plan for https://gitlab.example.com · all projects · as \@root\_1 · nothing was changed

| WHY | TAGS | SIZE |
|:--|--:|--:|
| older than IMAGE\_AGE, and GitLab cannot date it | 3 | ≥ 3.0 GiB |

| WHERE | TAGS | SIZE |
|:--|--:|--:|
| ` + "`g`" + ` | 3 | ≥ 3.0 GiB |

<details><summary>By repository</summary>

| REPOSITORY | TAGS | SIZE |
|:--|--:|--:|
| ` + "`g/p/app`" + ` | 2 | – |
| ` + "`g/p/app.cache`" + ` | 1 | 3.0 GiB |

</details>

- 1 kept: no rule deletes it
- 1 undecided: tag whose details could not be read
- 1 failed: GitLab does not let the token's user delete it
- 1 could not be read (groups, projects or repositories): nothing is known of their tags, and the log names them

:warning: Of 2 tags that would be deleted the digest is not known: they could not be brought back.

Some projects push tags that GitLab cannot show, and never cleans up. Export with image-manifest=true (--cache-to), so that GitLab can show these caches, and they stay as long as their images:

` + "```plaintext\n  1  g/g\n```" + `

In some cache repositories no tag has the name of an image's tag. They are named by another convention, so that nothing is deleted there for a missing image:

` + "```plaintext\n  g/p/b.cache\n```" + `

**Next**

- delete exactly this: ` + "`registry-gc apply reports/plan.jsonl`" + `
- why is one kept?: ` + "`registry-gc explain g/p/app:a`" + `

Looked at 6 tags in 1 repository of 1 project; skipped 1 archived project. 0 requests (0 to GitLab, 0 to the registry) in 0s.
`
	if diff := cmp.Diff(want, markdownOf(t, summary)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestMarkdownIsOurs: nothing that comes from elsewhere is markup, mentions somebody or is a quick action.
func TestMarkdownIsOurs(t *testing.T) {
	code := regexp.MustCompile("(?s)```plaintext\n.*?\n```|``+ .*? ``+|`[^`\n]+`")
	for _, evil := range []string{
		"@all", "\n/close", "\n\n/merge\n", "`\n/close\n`", "```\n/close\n", "</details><script>", "[x](https://evil.example)", "a|b|c", "![x](y)", "**bold**", "#1 !2 &3 ~bug $4", "\u202e",
	} {
		decision := dead("x", manifest.KindAttestedImage, 1, Marked)
		decision.Project, decision.Repository, decision.Tag = evil, evil, evil
		kept, odd := decision, decision
		kept.Outcome, kept.Reason = Kept, policy.NoRule
		odd.Outcome, odd.Reason = Failed, policy.Reason(evil)
		summary := countEvents(t, true, decision, kept, odd, NamingDiffers{Repository: evil}, ExcludeUnmatched{Patterns: []string{evil}})
		summary.GitLabURL, summary.User, summary.Plans, summary.Applied = evil, evil, []string{evil}, evil
		summary.Rules, summary.Settings = &Rules{Rules: []Explanation{{undatable, Deleted, evil}}}, map[string]string{"GITLAB_GROUPS": evil}
		summary.Skipped[SkipReason(evil)] = 2
		text := markdownOf(t, summary)
		rest := code.ReplaceAllString(text, "")
		rest = strings.NewReplacer("<details><summary>By repository</summary>", "", "</details>", "", "**Next**", "").Replace(rest)
		for line := range strings.Lines(rest) {
			if strings.HasPrefix(line, "/") || strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "### registry-gc: ") {
				t.Errorf("%q begins a line: %q", evil, line)
			}
		}
		unescaped := regexp.MustCompile(`(^|[^\\])[<@\[*!~$&]`)
		if at := unescaped.FindString(rest); at != "" || strings.Contains(rest, "`") || strings.ContainsRune(text, '\u202e') {
			t.Errorf("%q gives %q in\n%s", evil, at, text)
		}
	}
}
