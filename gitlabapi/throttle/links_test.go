package throttle

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestNextLink(t *testing.T) {
	const here = "https://gitlab.example/api/v4/projects?page=2"
	for _, test := range []struct {
		name    string
		headers []string
		want    string
	}{
		{"none", nil, ""},
		{"empty", []string{""}, ""},
		{"as GitLab sends it", []string{`<https://x/1>; rel="prev", <` + here + `>; rel="next", <https://x/9>; rel="last"`}, here},
		{"in a second header", []string{`<https://x/1>; rel="first"`, `<` + here + `>; rel="next"`}, here},
		{"unquoted", []string{`<` + here + `>; rel=next`}, here},
		{"capitals", []string{`<` + here + `>; REL="Next"`}, here},
		{"without spaces", []string{`<https://x/1>;rel="prev",<` + here + `>;rel="next"`}, here},
		{"with many spaces", []string{`  < ` + here + ` >  ;   rel = "next"  `}, " " + here + " "},
		{"several relations", []string{`<` + here + `>; rel="last next"`}, here},
		{"rel is not the first parameter", []string{`<` + here + `>; title="x"; rel="next"`}, here},
		{"comma and semicolon in the address", []string{`<https://x/a,b;c?last=v1,v2;rel=next>; rel="prev", <` + here + `,;>; rel="next"`}, here + ",;"},
		{"comma in quotes", []string{`<https://x/1>; title="a, <https://x/2>; rel=next"; rel="prev"`}, ""},
		{"semicolon in quotes", []string{`<https://x/1>; title="a; rel=next"; rel="prev"`}, ""},
		{"escaped quote", []string{`<https://x/1>; title="a\"; rel=next; \""; rel="prev"`}, ""},
		{"no relation", []string{`<x>; foo`}, ""},
		{"no parameters", []string{`<x>`}, ""},
		{"another relation", []string{`<x>; rel="nextish"`}, ""},
		{"unclosed", []string{`<` + here + `; rel="next"`}, ""},
		{"unopened", []string{here + `>; rel="next"`}, ""},
		{"open quote", []string{`<https://x/1>; title="a, <https://x/2>; rel="next"`}, ""},
		{"empty target", []string{`<>; rel="next"`}, ""},
		{"only separators", []string{`,;,;=;"",<>;=`}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got, _ := nextLink(test.headers); got != test.want {
				t.Errorf("nextLink(%q) = %q, want %q", test.headers, got, test.want)
			}
		})
	}
}

// FuzzNextLink lets anything stand in a Link header. The client must come to an end
// with it, and must not be led anywhere but to where it was.
func FuzzNextLink(f *testing.F) {
	for _, seed := range []string{
		`<x>; foo`, `<x`, `<x>; rel="next"`, `<https://a/b?c>; rel="next", <d>`, `,;"<>`, `<%zz>; rel=next`, `<//evil/>; rel=next`,
		`<?last=a>; rel="next"; title="\""`, "<\x00>; rel=next", `<:>; rel=next`, `<javascript:x>;rel=next`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		target, ok := nextLink([]string{header})
		if ok && !strings.Contains(header, "<"+target+">") {
			t.Errorf("nextLink(%q) = %q", header, target)
		}
	})
}

func TestScrubIsBounded(t *testing.T) {
	c := newTestClient(t, nil, Config{})
	for _, text := range []string{
		"", "x", strings.Repeat("\xff", 5000), strings.Repeat("日", 5000), strings.Repeat("\xe6", 5000), strings.Repeat("x", 1023) + "日",
	} {
		got := c.Scrub(text)
		if len(got) > maxMessage || !utf8.ValidString(got) {
			t.Errorf("Scrub(%.10q…) has %d bytes, valid: %v", text, len(got), utf8.ValidString(got))
		}
	}
}
