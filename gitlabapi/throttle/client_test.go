package throttle

import (
	"strings"
	"testing"
)

func TestParseURL(t *testing.T) {
	for address, want := range map[string]string{
		"https://gitlab.example":                 "https://gitlab.example",
		"https://gitlab.example/":                "https://gitlab.example",
		"http://gitlab.example:8080":             "http://gitlab.example:8080",
		"https://gitlab.example/gitlab":          "https://gitlab.example/gitlab",
		"https://gitlab.example/gitlab/":         "https://gitlab.example/gitlab",
		"https://gitlab.example/api/v4":          "https://gitlab.example",
		"https://gitlab.example/api/v4/":         "https://gitlab.example",
		"https://gitlab.example/gitlab/api/v4":   "https://gitlab.example/gitlab",
		"https://[::1]:8080":                     "https://[::1]:8080",
		"HTTPS://gitlab.example":                 "https://gitlab.example",
		"":                                       "",
		"gitlab.example":                         "",
		"gitlab.example:8080":                    "",
		"/gitlab":                                "",
		"//gitlab.example":                       "",
		"https://":                               "",
		"https:///gitlab":                        "",
		"https://:8080":                          "",
		"ftp://gitlab.example":                   "",
		"unix:///run/gitlab.sock":                "",
		"https://user@gitlab.example":            "",
		"https://oauth2:glpat-x@gitlab.example":  "",
		"https://gitlab.example?private_token=x": "",
		"https://gitlab.example/?x":              "",
		"https://gitlab.example?":                "",
		"https://gitlab.example#x":               "",
		"https://git lab.example":                "",
		"https://gitlab.example:port":            "",
		"https://gitlab.example\n":               "",
		"http://[::1":                            "",
		"%zz":                                    "",
	} {
		got, err := ParseURL(address)
		switch {
		case want == "" && err == nil:
			t.Errorf("ParseURL(%q) = %s, want an error", address, got)
		case want != "" && (err != nil || got.String() != want):
			t.Errorf("ParseURL(%q) = %v, %v, want %s", address, got, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "glpat-x") {
			t.Errorf("ParseURL(%q) repeats what it was given: %v", address, err)
		}
	}
	if _, err := New(Config{URL: "gitlab.example"}); err == nil {
		t.Error("New takes an address without a scheme")
	}
}
