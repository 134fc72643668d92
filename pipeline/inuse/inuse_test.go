package inuse

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

var (
	digestA = "sha256:" + strings.Repeat("ab", 32)
	digestB = "sha512:" + strings.Repeat("0f", 64)
)

func TestParse(t *testing.T) {
	type tag struct{ path, tag string }
	for name, test := range map[string]struct {
		text    string
		has     []tag
		not     []tag
		digests []string
	}{
		"a host": {"registry.example.com/group/app:1.2", []tag{{"group/app", "1.2"}},
			[]tag{{"group/app", "1"}, {"group/app", "latest"}, {"app", "1.2"}, {"other/group/app", "1.2"}, {"group/app/web", "1.2"}}, nil},
		"a host in capitals":      {"Registry.Example.com/group/app:1", []tag{{"group/app", "1"}}, nil, nil},
		"a port":                  {"registry.example.com:5050/group/app:1.2", []tag{{"group/app", "1.2"}}, nil, nil},
		"a port and no tag":       {"registry.example.com:5050/group/app", []tag{{"group/app", "latest"}}, []tag{{"group/app", "5050"}}, nil},
		"an address":              {"10.0.0.7:5000/group/app:1 [::1]:5000/group/web:2", []tag{{"group/app", "1"}, {"group/web", "2"}}, nil, nil},
		"localhost":               {"localhost/group/app:1", []tag{{"group/app", "1"}}, nil, nil},
		"no host":                 {"group/app:1.2", []tag{{"group/app", "1.2"}, {"app", "1.2"}}, nil, nil},
		"no host, a subgroup":     {"group/sub/app.cache:x_Y-1.z", []tag{{"group/sub/app.cache", "x_Y-1.z"}, {"sub/app.cache", "x_Y-1.z"}}, nil, nil},
		"a host without dots":     {"registry/group/app:1", []tag{{"group/app", "1"}, {"registry/group/app", "1"}}, nil, nil},
		"shorthand":               {"nginx\ngroup/app", []tag{{"nginx", "latest"}, {"group/app", "latest"}}, nil, nil},
		"a digest":                {"registry.example.com/group/app@" + digestA, nil, []tag{{"group/app", "latest"}}, []string{digestA}},
		"a tag and a digest":      {"group/app:1@" + digestA, []tag{{"group/app", "1"}}, []tag{{"group/app", "latest"}}, []string{digestA}},
		"a long digest":           {"group/app@" + digestB, nil, nil, []string{digestB}},
		"a digest in capitals":    {"group/app@sha256:" + strings.Repeat("AB", 32), nil, nil, []string{digestA}},
		"a digest alone":          {digestA, nil, nil, []string{digestA}},
		"what runtimes print":     {"docker-pullable://registry.example.com/group/app@" + digestA, nil, nil, []string{digestA}},
		"on one line":             {"a/b:1 a/c:2\ta/d:3", []tag{{"a/b", "1"}, {"a/c", "2"}, {"a/d", "3"}}, nil, nil},
		"comments, blanks, CRLF":  {"\ufeff# deployed\r\n\r\n  a/b:1 # a/c:2\r\n#a/d:3\r\n", []tag{{"a/b", "1"}}, []tag{{"a/c", "2"}, {"a/d", "3"}}, nil},
		"twice":                   {"a/b:1\na/b:1", []tag{{"a/b", "1"}}, nil, nil},
		"names that GitLab makes": {"my-group/my.app/web_x/a__b/c--d:1", []tag{{"my-group/my.app/web_x/a__b/c--d", "1"}}, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			list, err := Parse(strings.NewReader(test.text), "list")
			if err != nil {
				t.Fatal(err)
			}
			for _, tag := range test.has {
				if !list.Names(tag.path, tag.tag) {
					t.Errorf("%v is not in it", tag)
				}
			}
			for _, tag := range test.not {
				if list.Names(tag.path, tag.tag) {
					t.Errorf("%v is in it", tag)
				}
			}
			for _, digest := range test.digests {
				if !has(list, digest) {
					t.Errorf("%s is not in it", digest)
				}
			}
			if hasAny(list) != (test.digests != nil) || has(list, "") || list.Names("", "") {
				t.Errorf("it has digests: %t", hasAny(list))
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	broken := errors.New("the disk is gone")
	for name, test := range map[string]struct {
		text io.Reader
		want string
		is   error
	}{
		"nothing":          {strings.NewReader(""), "list: names no image", ErrEmpty},
		"only comments":    {strings.NewReader("# none\n\n"), "list: names no image", ErrEmpty},
		"a table":          {strings.NewReader("a/b:1\nNAME READY\n"), "list:2: ", ErrNoReference},
		"an error message": {strings.NewReader("No resources found"), "list:1: ", ErrNoReference},
		"a template":       {strings.NewReader("<none>"), "list:1: ", ErrNoReference},
		"JSON":             {strings.NewReader(`{"image":"a/b:1"}`), "list:1: ", ErrNoReference},
		"quotes":           {strings.NewReader(`"a/b:1"`), "list:1: ", ErrNoReference},
		"a URL":            {strings.NewReader("https://registry.example.com/a/b:1"), "list:1: ", ErrNoReference},
		"a short digest":   {strings.NewReader("\n\na/b@sha256:abcd"), "list:3: ", ErrNoReference},
		"an empty tag":     {strings.NewReader("a/b:"), "list:1: ", ErrNoReference},
		"a slash behind":   {strings.NewReader("a/b/"), "list:1: ", ErrNoReference},
		"two slashes":      {strings.NewReader("a//b"), "list:1: ", ErrNoReference},
		"capitals":         {strings.NewReader("a/B:1"), "list:1: ", ErrNoReference},
		"a long tag":       {strings.NewReader("a:" + strings.Repeat("x", 129)), "list:1: ", ErrNoReference},
		"a long name":      {strings.NewReader(strings.Repeat("a", maxReference+1)), "list:1: ", ErrNoReference},
		"two bytes a rune": {strings.NewReader("a\x00/\x00b\x00"), "list:1: ", ErrNoReference},
		"a bad disk":       {iotest.ErrReader(broken), "list: the disk is gone", broken},
		"a hole":           {io.LimitReader(zeros{}, maxBytes+1), "list: is longer than 64 MiB", ErrTooLong},
	} {
		t.Run(name, func(t *testing.T) {
			list, err := Parse(test.text, "list")
			if _, typed := errors.AsType[*Error](err); list != nil || !typed || !errors.Is(err, test.is) || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("%v; want %s…", err, test.want)
			}
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// TestNoSecretIsShown: a file that holds a token is soon named by mistake.
func TestNoSecretIsShown(t *testing.T) {
	_, err := Parse(strings.NewReader("glpat-SECRET\n"), "token")
	if err == nil || strings.Contains(err.Error(), "SECRET") {
		t.Error(err)
	}
}

func TestJoin(t *testing.T) {
	a, errA := Parse(strings.NewReader("a/b:1"), "a")
	b, errB := Parse(strings.NewReader("a/c@"+digestA), "b")
	if errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	joined := Join(a, nil, b)
	if !joined.Names("a/b", "1") || !has(joined, digestA) || hasAny(a) {
		t.Errorf("%v", joined)
	}
	var none *List
	if none.Names("a/b", "1") || has(none, digestA) || hasAny(none) || hasAny(Join()) {
		t.Error("an empty list has something")
	}
}

// FuzzParse: whatever is accepted is also accepted on a line of its own, and protects what
// it says.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"registry.example.com:5050/group/app:1.2", "group/app@" + digestA, "a b # c\n", "x:1@" + digestA,
		"\ufeffa/b", "docker-pullable://a/b@" + digestA, "A.b:1/c/d:e",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list, err := Parse(strings.NewReader(text), "list")
		if (list == nil) == (err == nil) {
			t.Fatal(list, err)
		}
		if err != nil {
			return
		}
		for n := range list.names {
			again, err := Parse(strings.NewReader(n.path+":"+n.tag), "again")
			if err != nil || !again.Names(n.path, n.tag) {
				t.Errorf("%q has %v, which is no reference: %v", text, n, err)
			}
		}
		for d := range list.digests {
			if again, err := Parse(strings.NewReader("x@"+d), "again"); err != nil || !has(again, d) {
				t.Errorf("%q has %s, which is no digest: %v", text, d, err)
			}
		}
	})
}

func has(l *List, digest string) bool { return slices.Contains(slices.Collect(l.Digests()), digest) }

func hasAny(l *List) bool { return len(slices.Collect(l.Digests())) > 0 }

// TestCount: how many different references there are, and that each is found by its own number.
func TestCount(t *testing.T) {
	for name, test := range map[string]struct {
		text                 string
		references, byDigest int
	}{
		"one":                    {"a/b:1", 1, 0},
		"twice":                  {"a/b:1 a/b:1\na/b:1", 1, 0},
		"two hosts":              {"x.example/a/b:1 y.example/a/b:1", 2, 0},
		"two groups":             {"a/b:1 c/b:1", 2, 0},
		"latest":                 {"a/b a/b:latest", 1, 0},
		"digests":                {"a/b@" + digestA + " " + digestB, 2, 2},
		"a digest in two places": {"a/b@" + digestA + " c/d@" + digestA, 1, 1},
		"a tag with its digest":  {"a/b:1 a/b:1@" + digestA, 1, 0},
		"a tag, then its digest": {"a/b:1@" + digestA + " a/b@" + digestA, 1, 0},
	} {
		list, err := Parse(strings.NewReader(test.text), "list")
		if err != nil {
			t.Fatal(err)
		}
		for what, list := range map[string]*List{"": list, ", twice": Join(list, list)} {
			references, byDigest, limit := list.Count()
			if references != test.references || byDigest != test.byDigest || limit < references {
				t.Errorf("%s%s: %d references, %d of them digests, numbers below %d", name, what, references, byDigest, limit)
			}
		}
	}
	list, err := Parse(strings.NewReader("a/b:1 c/b:1"), "list")
	first, isFirst := list.Find("a/b", "1")
	second, isSecond := list.Find("c/b", "1")
	if err != nil || !isFirst || !isSecond || first == second {
		t.Error(first, second, err)
	}
	if references, _, _ := (*List)(nil).Count(); references != 0 {
		t.Error("an empty list has references")
	}
	if _, found := (*List)(nil).FindDigest(digestA); found {
		t.Error("an empty list has a digest")
	}
}
