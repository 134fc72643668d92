package main

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestBuild(t *testing.T) {
	const hash = "be9058312f4e5d6c7b8a9f0e1d2c3b4a59687766"
	released := build{Version: "v1.2.3", Commit: hash, Date: "2026-11-26T22:46:27Z"}
	history := []debug.BuildSetting{{Key: "vcs.revision", Value: hash}, {Key: "vcs.time", Value: released.Date}, {Key: "vcs.modified", Value: "true"}}
	infoOf := func(version string, settings ...debug.BuildSetting) *debug.BuildInfo {
		return &debug.BuildInfo{Main: debug.Module{Version: version}, Settings: settings}
	}
	for name, test := range map[string]struct {
		linked build
		info   *debug.BuildInfo
		want   build
	}{
		"a release, whatever Go has recorded":   {released, infoOf("v0.0.1", history...), released},
		"a release of which the date is known":  {build{Version: "v1", Date: "2026"}, infoOf("(devel)", history...), build{Version: "v1", Date: "2026"}},
		"make build, in a checkout":             {build{Version: "v1.2.3-4-gbe90583"}, infoOf("v1.2.4-0.20261126224627-be9058312f4e", history...), build{"v1.2.3-4-gbe90583", hash, released.Date, true}},
		"go build, in a checkout":               {build{}, infoOf("v1.2.4-0.20261126224627-be9058312f4e+dirty", history...), build{"v1.2.4-0.20261126224627-be9058312f4e+dirty", hash, released.Date, true}},
		"go build, in a tarball":                {build{}, infoOf("(devel)"), build{Version: "dev"}},
		"go install of a version":               {build{}, infoOf("v1.2.3"), build{Version: "v1.2.3"}},
		"go install of a version to come":       {build{}, infoOf("v1.2.3-rc.1"), build{Version: "v1.2.3-rc.1"}},
		"go install of a commit before any tag": {build{}, infoOf("v0.0.0-20261126224627-be9058312f4e"), build{"v0.0.0-20261126224627-be9058312f4e", "be9058312f4e", released.Date, false}},
		"go install of a commit":                {build{}, infoOf("v1.2.4-0.20261126224627-be9058312f4e"), build{"v1.2.4-0.20261126224627-be9058312f4e", "be9058312f4e", released.Date, false}},
		"nothing recorded":                      {build{}, new(debug.BuildInfo), build{Version: "dev"}},
	} {
		if got := test.linked.completed(test.info); got != test.want {
			t.Errorf("%s: got %+v, want %+v", name, got, test.want)
		}
	}
}

func TestBuildAsText(t *testing.T) {
	machine := "  go        " + runtime.Version() + "\n  platform  " + runtime.GOOS + "/" + runtime.GOARCH + "\n"
	for want, of := range map[string]build{
		"registry-gc dev\n":                          {Version: "dev"},
		"registry-gc v1\n  commit    abc\n":          {Version: "v1", Commit: "abc"},
		"registry-gc v1\n  date      2026-11-26\n":   {Version: "v1", Date: "2026-11-26", Modified: true},
		"registry-gc dev\n  commit    0, modified\n": {Version: "dev", Commit: "0", Modified: true},
	} {
		if got := of.String(); got != want+machine {
			t.Errorf("got:\n%swant:\n%s", got, want+machine)
		}
	}
}
