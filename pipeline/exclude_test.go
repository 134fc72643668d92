package pipeline_test

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/pipeline"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

func TestExclude(t *testing.T) {
	for pattern, test := range map[string]struct{ has, not []string }{
		"acme":             {[]string{"acme", "acme/shop", "ACME/shop/web"}, []string{"acme2", "acme2/shop", "x/acme"}},
		"acme/shop":        {[]string{"acme/shop", "acme/shop/web", "Acme/Shop"}, []string{"acme", "acme/shop2", "acme/shop-2/web", "x/acme/shop"}},
		"/acme/shop/":      {[]string{"acme/shop"}, []string{"acme"}},
		"acme/*":           {[]string{"acme/shop", "acme/shop/web"}, []string{"acme", "acme2/shop"}},
		"acme/*/web":       {[]string{"acme/shop/web", "acme/shop/web/app"}, []string{"acme/web", "acme/a/b/web"}},
		"acme/sh*p":        {[]string{"acme/shp", "acme/shoop/web"}, []string{"acme/sh/p"}},
		"*/shop":           {[]string{"acme/shop", "x/shop/y"}, []string{"shop", "a/b/shop"}},
		"acme/**":          {[]string{"acme", "acme/shop", "acme/a/b/c"}, []string{"acme2"}},
		"acme/**/web":      {[]string{"acme/web", "acme/a/web", "acme/a/b/web", "acme/a/b/web/app"}, []string{"acme/a/web2", "acmeweb"}},
		"**/web":           {[]string{"web", "a/web", "a/b/web/c"}, []string{"a/xweb", "a/webx"}},
		"**":               {[]string{"a", "a/b"}, nil},
		"*":                {[]string{"a", "a/b"}, nil},
		"acme/**-old":      {[]string{"acme/x-old", "acme/a/b-old"}, []string{"acme/x-older"}},
		"acme/web.cache":   {[]string{"acme/web.cache"}, []string{"acme/web_cache", "acme/web"}},
		"acme/***/web":     {[]string{"acme/a/web"}, nil},
		"acme/app/*.cache": {[]string{"acme/app/web.cache"}, []string{"acme/app/web", "acme/app/a/web.cache"}},
	} {
		exclude, err := pipeline.ParseExclude([]string{"none/of/these", pattern})
		if err != nil {
			t.Errorf("%s: %v", pattern, err)
		}
		for _, path := range test.has {
			if !exclude.Has(path) {
				t.Errorf("%s does not leave %s alone", pattern, path)
			}
		}
		for _, path := range test.not {
			if exclude.Has(path) {
				t.Errorf("%s leaves %s alone", pattern, path)
			}
		}
	}
	if none, err := pipeline.ParseExclude(nil); err != nil || none.Has("acme") || none.Has("") {
		t.Errorf("nothing leaves something alone (%v)", err)
	}
	for _, pattern := range []string{"", "/", "a//b", "a b", "a,b", "42", "^a", "a?", "https://gitlab.example.com/a", "group:a", "a/[bc]", "é"} {
		if _, err := pipeline.ParseExclude([]string{"a", pattern}); err == nil {
			t.Errorf("%q is taken", pattern)
		} else if _, typed := errors.AsType[*pipeline.PatternError](err); !typed {
			t.Errorf("%q: %T", pattern, err)
		}
	}
}

// FuzzExclude: a path that is accepted leaves itself alone, and all below.
func FuzzExclude(f *testing.F) {
	for _, seed := range []string{"acme/shop", "a/**/b", "**", "*/x", "A.b-c/_d", "***", "**/**"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, pattern string) {
		exclude, err := pipeline.ParseExclude([]string{pattern})
		if err != nil {
			return
		}
		for _, path := range []string{strings.Trim(pattern, "/"), strings.Trim(strings.ReplaceAll(pattern, "*", "x"), "/")} {
			if !exclude.Has(path) || !exclude.Has(path+"/below/it") {
				t.Errorf("%s does not leave %s alone", pattern, path)
			}
		}
	})
}

// TestExcludedIsLeftAlone in whatever way the scope finds it: it is counted, nothing is
// asked about its tags, and all others go and stay as without it.
func TestExcludedIsLeftAlone(t *testing.T) {
	left := regexp.MustCompile(`^acme/shop/(?:checkout/|storefront/web\.cache[:/])`)
	trialOf := func(regime gitlabtest.Regime, scope pipeline.Scope, patterns ...string) *trial {
		world := gitlabtest.DemoWorld()
		world.Regime = regime
		tr := newTrial(world)
		tr.options.Scope = scope
		var err error
		if tr.options.Scope.Exclude, err = pipeline.ParseExclude(patterns); err != nil {
			t.Fatal(err)
		}
		return tr
	}
	for _, regime := range []gitlabtest.Regime{gitlabtest.Legacy, gitlabtest.Database} {
		for name, scope := range map[string]pipeline.Scope{
			"everything": {Membership: true},
			"a group":    {Groups: []string{"acme"}},
			"projects":   {Projects: []string{"acme/shop/storefront", "acme/shop/checkout", "acme/platform/runner"}},
		} {
			t.Run(fmt.Sprint(name, regime), func(t *testing.T) {
				all := trialOf(regime, scope).runInBubble(t)
				tr := trialOf(regime, scope, "ACME/shop/check*", "acme/shop/storefront/web.cache")
				got := tr.runInBubble(t)
				if got.Skipped[report.Excluded] != 2 || got.err != nil {
					t.Errorf("skipped %v; error %v", got.Skipped, got.err)
				}
				want := all.verdicts()
				maps.DeleteFunc(want, func(tag string, _ policy.Reason) bool { return left.MatchString(tag) })
				if diff := cmp.Diff(want, got.verdicts()); diff != "" || len(want) == len(all.decisions) {
					t.Errorf("decisions (-without EXCLUDE +with it):\n%s", diff)
				}
				for tag := range deleted(tr.server) {
					if left.MatchString(tag) {
						t.Errorf("%s is gone", tag)
					}
				}
				for _, request := range tr.server.Requests() {
					if left.MatchString(strings.TrimPrefix(request.Path, "/v2/")) {
						t.Errorf("%s was asked for", request.Path)
					}
				}
			})
		}
	}
}
