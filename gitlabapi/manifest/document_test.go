package manifest

import (
	"bytes"
	"encoding/json"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// FuzzParseDocument: what is accepted is what encoding/json makes of it.
func FuzzParseDocument(f *testing.F) {
	for _, text := range []string{
		"{}", "[]", ` { "a" : [ 1 , -2.5e+3, true,false , null, "x\\n\\u00e9\\ud83d\\ude00\\\"" ] , "b" : { } } `,
		`[[],[[]],{"a":{"b":[{}]}}]`, `"only text"`, `12`, "\t[\n1\r]", `{"a":1,"A":2}`, `{"k":1,"\u212a":2}`, `{"a\\\\":"\\\\"}`,
		`{` + strings.Repeat(`"x":1,`, 3) + `"y":2}`, "[1,]", "nul", "",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := parseDocument(text)
		if err != nil {
			return
		}
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber()
		var want any
		if err := decoder.Decode(&want); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: got %#v, want %#v, %v", text, got, want, err)
		}
	})
}

// TestNamesStandOnce in objects of few names and of many.
func TestNamesStandOnce(t *testing.T) {
	var many strings.Builder
	for c := 'a'; c <= 'z'; c++ {
		many.WriteString(`"` + string(c) + `":1,`)
	}
	for text, fine := range map[string]bool{
		`{"a":1,"b":2}`:                     true,
		`{"a":1,"a":2}`:                     false,
		`{"ab":1,"Ab":2}`:                   false,
		`{"k":1,"\u212a":2}`:                false, // the sign for kelvin
		`{"s":1,"\u017f":2}`:                false, // the long s
		`{"a":{"a":{}}}`:                    true,
		`[{"a":1},{"a":1}]`:                 true,
		`{` + many.String() + `"other":1}`:  true,
		`{` + many.String() + `"a":1}`:      false,
		`{` + many.String() + `"Z":1}`:      false,
		`{` + many.String() + `"\u212a":1}`: false,
	} {
		if _, err := parseDocument([]byte(text)); (err == nil) != fine {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestIsDigest(t *testing.T) {
	form := regexp.MustCompile(`^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$`)
	short, long := strings.Repeat("0123456789abcdef", 4), strings.Repeat("0123456789abcdef", 8)
	for _, text := range []string{
		"", ":", "sha256:", "sha256:" + short, "sha256:" + long, "sha512:" + long, "sha512:" + short, short, "md5:" + short,
		"sha256:" + short[1:], "sha256:" + short + "0", "sha256:" + short[1:] + "g", "sha256:" + short[1:] + "A", "SHA256:" + short,
		"sha256:" + short[1:] + ":", "sha256:" + short[1:] + "\n", "sha256:" + short + "\n", "xsha256:" + short, "sha256:/" + short[1:], "sha256:`" + short[1:],
	} {
		if got := IsDigest(text); got != form.MatchString(text) {
			t.Errorf("IsDigest(%q) = %t", text, got)
		}
	}
}
