package redact

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"
)

const token = `glpat-Q&7"z+/x_k-Ü9t`

// shown are texts in which the token appears.
func shown() map[string]string {
	encoded, _ := json.Marshal("bad token " + token)
	texts := map[string]string{
		"itself":  "PRIVATE-TOKEN: " + token + "\n",
		"twice":   token + token,
		"query":   "https://gitlab.example.com/?private_token=" + url.QueryEscape(token),
		"path":    "https://gitlab.example.com/" + url.PathEscape(token) + "/x",
		"JSON":    string(encoded),
		"quoted":  fmt.Sprintf("starting with %q", "HTTP/1.1 400 "+token),
		"in HTML": "<b>glpat-Q&amp;7&#34;z+/x_k-Ü9t</b>",
	}
	for _, user := range []string{"", "a", "ab", "abc", "registry-gc"} {
		texts["basic "+user] = "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+token)) + "\n"
		texts["basic, for addresses "+user] = base64.URLEncoding.EncodeToString([]byte(user + ":" + token + ":more"))
	}
	return texts
}

// leaks are pieces of which none may be left.
var leaks = []string{"glpat-Q", "x_k-", base64.StdEncoding.EncodeToString([]byte("7\"z+/x_k-")), "k-%C3%9C9t"}

func check(t *testing.T, name, got string) {
	t.Helper()
	if !strings.Contains(got, Mark) {
		t.Errorf("%s: nothing was removed from %q", name, got)
	}
	for _, leak := range leaks {
		if strings.Contains(got, leak) {
			t.Errorf("%s: %q is left in %q", name, leak, got)
		}
	}
}

func TestBytes(t *testing.T) {
	r := New(token, "short")
	for name, text := range shown() {
		check(t, name, string(r.Bytes([]byte(text))))
		if !r.Finds([]byte(text)) {
			t.Errorf("%s: nothing is found in %q", name, text)
		}
	}
	const harmless = "a short tag is deleted\n"
	if got := string(r.Bytes([]byte(harmless))); got != harmless || r.Finds([]byte(harmless)) {
		t.Errorf("%q", got)
	}
}

// TestWriter: wherever a text is cut, no secret passes, and nothing else is lost.
func TestWriter(t *testing.T) {
	r := New(token)
	for name, text := range shown() {
		want := string(r.Bytes([]byte(text)))
		for cut := range text {
			var out bytes.Buffer
			w := r.Writer(&out)
			for _, part := range []string{text[:cut], text[cut:]} {
				if n, err := io.WriteString(w, part); n != len(part) || err != nil {
					t.Fatal(n, err)
				}
			}
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
			if out.String() != want {
				t.Errorf("%s, cut at %d: %q, want %q", name, cut, &out, want)
			}
		}
	}
}

// TestWriterOfLines: a whole line is not kept back, whatever it ends with.
func TestWriterOfLines(t *testing.T) {
	var out bytes.Buffer
	w := New(token).Writer(&out)
	fmt.Fprintln(w, "a tag of g")
	if out.String() != "a tag of g\n" {
		t.Errorf("%q", &out)
	}
	fmt.Fprint(w, token[:10])
	if strings.Contains(out.String(), "glpat") {
		t.Errorf("a part of the token was written: %q", &out)
	}
}

func TestNothingToRedact(t *testing.T) {
	var none *Redactor
	var out bytes.Buffer
	w := none.Writer(&out)
	fmt.Fprint(w, "text")
	if err := w.Flush(); err != nil || out.String() != "text" {
		t.Errorf("%q, error %v", &out, err)
	}
}
