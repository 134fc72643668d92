package gitlabapi

import (
	"regexp"
	"strings"
	"testing"
)

func TestSlug(t *testing.T) {
	long := strings.Repeat("a", 62)
	for ref, want := range map[string]string{
		"main":                          "main",
		"feature/cart":                  "feature-cart",
		"Feature_Cart":                  "feature-cart",
		"v1.2.3":                        "v1-2-3",
		"renovate/go-1.x":               "renovate-go-1-x",
		"a--b//c":                       "a--b--c", // each character for itself
		"-x-":                           "x",
		"__x__":                         "x",
		"###":                           "",
		"":                              "",
		"1":                             "1",
		"über-größe":                    "ber-gr--e", // a character is one hyphen, whatever its bytes
		"日本":                            "",
		"x日y":                           "x-y",
		"\u212aelvin":                   "kelvin", // in lower case it is a letter like any other
		"İstanbul":                      "i-stanbul",
		"x\xffy":                        "x-y",
		long + "b":                      long + "b",
		long + "bc":                     long + "b",
		long + "/c":                     long, // cut first, then trimmed
		"/" + long + "bcd":              long, // a hyphen that goes has counted
		long + "/" + "/" + "":           long,
		strings.Repeat("日", 70):         "",
		strings.Repeat("日", 62) + "xyz": "x",
		"dependabot/npm_and_yarn/@types/node-20.11.30": "dependabot-npm-and-yarn--types-node-20-11-30",
	} {
		if got := Slug(ref); got != want {
			t.Errorf("Slug(%q) = %q, want %q", ref, got, want)
		}
	}
}

// FuzzSlug holds slugs to their form: one is its own slug, and capitals
// change nothing.
func FuzzSlug(f *testing.F) {
	for _, seed := range []string{"main", "Feature/X_1", "---", "über", strings.Repeat("x/", 40), "\xff", "İ"} {
		f.Add(seed)
	}
	form := regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)?$`)
	f.Fuzz(func(t *testing.T, ref string) {
		slug := Slug(ref)
		if !form.MatchString(slug) || Slug(slug) != slug {
			t.Errorf("Slug(%q) = %q", ref, slug)
		}
		isASCII := !strings.ContainsFunc(ref, func(r rune) bool { return r > 0x7f })
		if upper := strings.ToUpper(ref); isASCII && Slug(upper) != slug {
			t.Errorf("Slug(%q) = %q, of %q it is %q", ref, slug, upper, Slug(upper))
		}
	})
}
