package gitlabapi

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

// packets makes packets of lines; "" is a flush packet.
func packets(lines ...string) string {
	var text strings.Builder
	for _, line := range lines {
		if line == "" {
			text.WriteString("0000")
			continue
		}
		fmt.Fprintf(&text, "%04x%s\n", len(line)+5, line)
	}
	return text.String()
}

const (
	someObject   = "1d4f2e9c0b8a7d6e5f4c3b2a190807060504030a"
	otherObject  = "2d4f2e9c0b8a7d6e5f4c3b2a190807060504030b"
	capabilities = "\x00multi_ack symref=HEAD:refs/heads/main agent=git/2.47.0"
	service      = "# service=git-upload-pack"
)

func TestReadAdvertisement(t *testing.T) {
	sha256 := strings.Repeat("0123456789abcdef", 4)
	for _, test := range []struct {
		name, body string
		want       []string
		fails      bool
	}{
		{name: "as it is", body: packets(service, "", someObject+" HEAD"+capabilities, someObject+" refs/heads/main", otherObject+" refs/heads/feature/x",
			someObject+" refs/merge-requests/1/head", someObject+" refs/keep-around/"+someObject, otherObject+" refs/tags/v1", someObject+" refs/tags/v1^{}", ""),
			want: []string{"main", "feature/x", "v1"}},
		{name: "without HEAD", body: packets(service, "", someObject+" refs/heads/main"+capabilities, ""), want: []string{"main"}},
		{name: "without capabilities' words", body: packets(service, "", someObject+" refs/heads/main\x00", ""), want: []string{"main"}},
		{name: "SHA-256", body: packets(service, "", sha256+" refs/heads/main"+capabilities, ""), want: []string{"main"}},
		{name: "a shallow repository", body: packets(service, "", someObject+" refs/heads/main"+capabilities, "shallow "+otherObject, ""), want: []string{"main"}},
		{name: "a branch and a tag of a name", body: packets(service, "", someObject+" refs/heads/x"+capabilities, someObject+" refs/tags/x", ""), want: []string{"x", "x"}},
		{name: "without line breaks", body: "001d" + service + "0000" + "003e" + someObject + " refs/heads/main\x00x" + "0000", want: []string{"main"}},
		{name: "a repository without any", body: packets(service, "", strings.Repeat("0", 40)+" capabilities^{}"+capabilities, "")},
		{name: "no line at all", body: packets(service, "", "")},
		{name: "a name of many bytes", body: packets(service, "", someObject+" refs/heads/größe-日本"+capabilities, ""), want: []string{"größe-日本"}},

		{name: "nothing", fails: true},
		{name: "a page", body: "<!DOCTYPE html><html></html>", fails: true},
		{name: "the dumb protocol", body: someObject + "\trefs/heads/main\n", fails: true},
		{name: "another service", body: packets("# service=git-receive-pack", "", someObject+" refs/heads/main"+capabilities, ""), fails: true},
		{name: "no service", body: packets(someObject+" refs/heads/main"+capabilities, ""), fails: true},
		{name: "a flush packet first", body: packets("", service, "", ""), fails: true},
		{name: "no flush packet after the service", body: packets(service, someObject+" refs/heads/main"+capabilities, ""), fails: true},
		{name: "no end", body: packets(service, "", someObject+" refs/heads/main"+capabilities), fails: true},
		{name: "an end in a packet", body: packets(service, "", someObject+" refs/heads/main"+capabilities) + "0040" + someObject, fails: true},
		{name: "an end in a length", body: packets(service, "", someObject+" refs/heads/main"+capabilities) + "00", fails: true},
		{name: "something after the end", body: packets(service, "", someObject+" refs/heads/main"+capabilities, "", someObject+" refs/heads/x"), fails: true},
		{name: "version 1", body: packets(service, "", "version 1", someObject+" refs/heads/main"+capabilities, ""), fails: true},
		{name: "version 2", body: packets(service, "", "version 2", "agent=git/2.47.0", "ls-refs", ""), fails: true},
		{name: "an error", body: packets(service, "", "ERR upload-pack: not our ref", ""), fails: true},
		{name: "no object", body: packets(service, "", "main refs/heads/main"+capabilities, ""), fails: true},
		{name: "half an object", body: packets(service, "", someObject[:39]+" refs/heads/main"+capabilities, ""), fails: true},
		{name: "no capabilities", body: packets(service, "", someObject+" refs/heads/main", ""), fails: true},
		{name: "capabilities twice", body: packets(service, "", someObject+" refs/heads/main"+capabilities, someObject+" refs/heads/x"+capabilities, ""), fails: true},
		{name: "no name", body: packets(service, "", someObject+" "+capabilities, ""), fails: true},
		{name: "no name of a branch", body: packets(service, "", someObject+" refs/heads/"+capabilities, ""), fails: true},
		{name: "a space in a name", body: packets(service, "", someObject+" refs/heads/a b"+capabilities, ""), fails: true},
		{name: "a line break in a name", body: packets(service, "", someObject+" refs/heads/a\nb"+capabilities, ""), fails: true},
		{name: "an escape in a name", body: packets(service, "", someObject+" refs/heads/\x1b[31m"+capabilities, ""), fails: true},
		{name: "lengths that are none", body: packets(service, "") + "0003", fails: true},
		{name: "an empty packet", body: packets(service, "") + "00040000", fails: true},
		{name: "a delimiter of version 2", body: packets(service, "") + "00010000", fails: true},
		{name: "a sign", body: packets(service, "") + "+00a" + someObject + "0000", fails: true},
		{name: "too long a packet", body: packets(service, "") + "ffff" + strings.Repeat("x", 1<<16), fails: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := readAdvertisement(strings.NewReader(test.body))
			if diff := cmp.Diff(test.want, got); diff != "" || (err != nil) != test.fails {
				t.Errorf("%v\n%s", err, diff)
			}
			if _, typed := errors.AsType[*throttle.FormatError](err); err != nil && !typed {
				t.Errorf("%v has no class", err)
			}
		})
	}
}

// FuzzReadAdvertisement reads lists of any origin: what is read of one is what stands in it, and
// a list that is cut anywhere is none.
func FuzzReadAdvertisement(f *testing.F) {
	f.Add([]byte(packets(service, "", someObject+" HEAD"+capabilities, someObject+" refs/heads/main", someObject+" refs/tags/v1^{}", "")))
	f.Add([]byte(packets(service, "", strings.Repeat("0", 40)+" capabilities^{}"+capabilities, "")))
	f.Add([]byte(packets(service, "", "ERR no", "")))
	f.Fuzz(func(t *testing.T, body []byte) {
		names, err := readAdvertisement(strings.NewReader(string(body)))
		if err != nil {
			if names != nil {
				t.Errorf("%q beside %v", names, err)
			}
			return
		}
		for _, name := range names {
			if name == "" || strings.ContainsAny(name, " \x00\n") || !strings.Contains(string(body), "/"+name) {
				t.Errorf("a reference %q", name)
			}
		}
		if slices.Contains(names, "HEAD") && !strings.Contains(string(body), "/HEAD") {
			t.Error("HEAD is taken for a branch")
		}
		for _, cut := range []int{len(body) - 1, len(body) - 4, len(body) / 2} {
			if _, err := readAdvertisement(strings.NewReader(string(body[:max(cut, 0)]))); err == nil {
				t.Errorf("it is whole with %d of its %d bytes", cut, len(body))
			}
		}
	})
}
