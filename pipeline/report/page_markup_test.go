package report

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

func TestFill(t *testing.T) {
	p := splitParts("top", "<ul>\n<!-- begin item -->\n<li class=\"{{class}}\">{{name}}<!-- begin note --> <b>{{name}}</b><!-- end note --></li>\n<!-- end item -->\n</ul>\n")
	items := []string{`"><b>`, "{{note}}\u202e'&amp;"}
	got := p.fill("top", slots{"item": joined(items, func(name string) markup {
		note := p.fillIf(name == items[0], "note", slots{"name": 7})
		return p.fill("item", slots{"class": policy.Reason(name), "name": name, "note": note})
	})})
	const want = `<ul>
<li class="&#34;&gt;&lt;b&gt;">&#34;&gt;&lt;b&gt; <b>7</b></li>
<li class="{{note}}\u{202e}&#39;&amp;amp;">{{note}}\u{202e}&#39;&amp;amp;</li>
</ul>
`
	if got.html != want {
		t.Errorf("got\n%swant\n%s", got.html, want)
	}
}

// TestFillPanics: code and page.html that do not agree are found at the first try.
func TestFillPanics(t *testing.T) {
	p := splitParts("top", "{{a}}")
	for name, mistake := range map[string]func(){
		"no part":     func() { p.fill("bottom", nil) },
		"no value":    func() { p.fill("top", nil) },
		"no slot":     func() { p.fill("top", slots{"a": 1, "b": 2}) },
		"not wanted":  func() { p.fillIf(false, "top", nil) },
		"not ended":   func() { splitParts("top", "<!-- begin a -->") },
		"begun twice": func() { splitParts("top", strings.Repeat("<!-- begin a --><!-- end a -->", 2)) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("nothing was noticed")
				}
			}()
			mistake()
		})
	}
}

// TestSlots: what is escaped is text where page.html has its slots, between tags and in
// quoted attributes that hold no address, style or script.
func TestSlots(t *testing.T) {
	plain := []string{"aria-label", "aria-labelledby", "class", "content", "height", "id", "width", "x", "y"}
	quoted := regexp.MustCompile(`"[^"]*"`)
	slotsSeen, inside := 0, ""
	for page := html.NewTokenizer(strings.NewReader(pageText)); page.Next() != html.ErrorToken; {
		raw := string(page.Raw())
		token := page.Token()
		slotsSeen += strings.Count(raw, "{{")
		switch {
		case token.Type == html.TextToken:
			if own := "{{" + inside + "}}"; (inside == "style" || inside == "script") && raw != own {
				t.Errorf("%s in an element %s", raw, inside)
			}
			continue
		case strings.Contains(quoted.ReplaceAllString(raw, ""), "{{"):
			t.Errorf("a slot outside quotes: %s", raw)
		}
		inside = ""
		if token.Type == html.StartTagToken {
			inside = token.Data
		}
		for _, a := range token.Attr {
			if strings.Contains(a.Val, "{{") && !slices.Contains(plain, a.Key) {
				t.Errorf("a slot in an attribute %s: %s", a.Key, raw)
			}
		}
	}
	if slotsSeen < 50 {
		t.Errorf("only %d slots were looked at", slotsSeen)
	}
}

// TestMarkupIsOurs: only what fills parts makes markup, and the page of its own files.
func TestMarkupIsOurs(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	making := regexp.MustCompile(`\bmarkup\{.*`) // as gofmt writes it
	var made []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") || file == "page_markup.go" {
			continue
		}
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, making.FindAllString(string(source), -1)...)
	}
	if want := []string{"markup{pageStyle},", "markup{pageScript},"}; !slices.Equal(made, want) {
		t.Errorf("markup is made of %q, want %q", made, want)
	}
}
