package manifest

import (
	"strings"
	"testing"
)

// TestRead pins what two readers of JSON could disagree about.
func TestRead(t *testing.T) {
	for text, fine := range map[string]bool{
		`{"config":{"digest":"x"}}`:                       true,
		` {"a":1,"b":[{"a":1},{"a":1}]} `:                 true,
		`{"other":1,"Other":2}`:                           true, // neither is read
		`{"mediaType":"a","mediaType":"b"}`:               false,
		`{"other":1,"other":2}`:                           false,
		`{"config":{},"Config":{"digest":"x"}}`:           false,
		`{"Config":{"digest":"x"}}`:                       false,
		`{"\u0063onfig":{"digest":"x"}}`:                  true,
		`{"layers":[{"size":1,"\u017fize":2}]}`:           false, // the long s
		`{"annotations":{"a":"1"},"layers":[]}`:           true,
		`{"config":{"annotations":{"a":"1","A":"2"}}}`:    true,
		`{"config":{"annotations":{"a":"1","a":"2"}}}`:    false,
		`{"config":{"annotations":{"a":1}}}`:              false,
		`{"config":[]}`:                                   false,
		`{"layers":{}}`:                                   false,
		`{"config":{"size":1.5}}`:                         false,
		`{"config":{"size":"1"}}`:                         false,
		`{} {}`:                                           false,
		`{}x`:                                             false,
		`{`:                                               false,
		``:                                                false,
		"{\"mediaType\":\"\xff\"}":                        false,
		`{"other":"` + strings.Repeat("x", MaxBytes):      false,
		`{"layers":[` + strings.Repeat(`{},`, maxObjects): false,
	} {
		if _, err := read[document]([]byte(text)); (err == nil) != fine {
			t.Errorf("%.80s: %v", text, err)
		}
	}
}

func TestIsDigest(t *testing.T) {
	short, long := strings.Repeat("0123456789abcdef", 4), strings.Repeat("0123456789abcdef", 8)
	for text, want := range map[string]bool{
		"sha256:" + short: true, "sha512:" + long: true,
		"": false, ":": false, "sha256:": false, "sha256:" + long: false, "sha512:" + short: false, short: false, "md5:" + short: false,
		"sha256:" + short[1:]: false, "sha256:" + short + "0": false, "sha256:" + short[1:] + "g": false, "sha256:" + short[1:] + "A": false, "SHA256:" + short: false,
		"sha256:" + short[1:] + ":": false, "sha256:" + short + "\n": false, "xsha256:" + short: false, "sha256:/" + short[1:]: false,
	} {
		if got := IsDigest(text); got != want {
			t.Errorf("IsDigest(%q) = %t", text, got)
		}
	}
}
