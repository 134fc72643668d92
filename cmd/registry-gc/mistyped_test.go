package main

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sethvargo/go-envconfig"
)

func TestMistypings(t *testing.T) {
	for name, test := range map[string]struct {
		environment map[string]string
		meant       map[string]string
		refused     bool // where nothing is said of DRY_RUN
	}{
		"an underscore less":    {map[string]string{"DRYRUN": "true"}, map[string]string{"DRYRUN": "DRY_RUN"}, true},
		"a dash":                {map[string]string{"DRY-RUN": "1"}, map[string]string{"DRY-RUN": "DRY_RUN"}, true},
		"small letters":         {map[string]string{"dry_run": "yes"}, map[string]string{"dry_run": "DRY_RUN"}, true},
		"neighbours swapped":    {map[string]string{"DYR_RUN": "true"}, map[string]string{"DYR_RUN": "DRY_RUN"}, true},
		"a prefix":              {map[string]string{"GITLAB_DRY_RUN": "true"}, map[string]string{"GITLAB_DRY_RUN": "DRY_RUN"}, true},
		"our prefix":            {map[string]string{"REGISTRY_GC_DRY_RUN": "1"}, nil, false},
		"almost our prefix":     {map[string]string{"RGC_DRY_RUN": "1"}, map[string]string{"RGC_DRY_RUN": "DRY_RUN"}, true},
		"our prefix, mistyped":  {map[string]string{"REGISTRY_GC_DRYRUNS": "1"}, map[string]string{"REGISTRY_GC_DRYRUNS": "DRY_RUN"}, true},
		"our prefix, two edits": {map[string]string{"REGISTRY_GC_GITLAB_GRUOP": "x"}, map[string]string{"REGISTRY_GC_GITLAB_GRUOP": "GITLAB_GROUPS"}, true},
		"a service of ours":     {map[string]string{"REGISTRY_GC_SERVICE_HOST": "x", "REGISTRY_GC_PORT_80_TCP_ADDR": "x"}, nil, false},
		"set with our prefix":   {map[string]string{"REGISTRY_GC_PROTECTED_TAGS": "x", "PROTECTED_TAG": "y"}, nil, false},
		"a prefix elsewhere":    {map[string]string{"GITLAB_PROTECTED_TAGS": "x"}, map[string]string{"GITLAB_PROTECTED_TAGS": "PROTECTED_TAGS"}, true},
		"a group":               {map[string]string{"GITLAB_GROUP": "acme/labs"}, map[string]string{"GITLAB_GROUP": "GITLAB_GROUPS"}, true},
		"a rate":                {map[string]string{"RATELIMIT": "1"}, map[string]string{"RATELIMIT": "RATE_LIMIT"}, false},
		"another tool's":        {map[string]string{"KEEP_N": "5", "max-delete": "7", "GITLAB_EXCLUDE_GROUPS": "x"}, map[string]string{"KEEP_N": "RULES", "max-delete": "MAX_DELETIONS", "GITLAB_EXCLUDE_GROUPS": "EXCLUDE"}, true},
		"both tools'":           {map[string]string{"EXCLUDE_TAGS": "x", "PROTECTED_TAGS_REGEX": "x"}, map[string]string{"EXCLUDE_TAGS": "PROTECTED_TAGS_REGEX"}, true},
		"no dry run asked for":  {map[string]string{"DRYRUN": "false"}, map[string]string{"DRYRUN": "DRY_RUN"}, false},
		"both":                  {map[string]string{"DRYRUN": "true", "DRY_RUN": "false"}, map[string]string{"DRYRUN": "DRY_RUN"}, true},
		"set to nothing":        {map[string]string{"DRYRUN": ""}, nil, false},
		"two edits from it":     {map[string]string{"PRE_RUN": "true"}, map[string]string{"PRE_RUN": "DRY_RUN"}, false},
		"a letter less":         {map[string]string{"PROTECTED_TAG": "x"}, map[string]string{"PROTECTED_TAG": "PROTECTED_TAGS"}, true},
		"the right one is set":  {map[string]string{"PROTECTED_TAG": "x", "PROTECTED_TAGS": "y"}, nil, false},
		"of the predecessor":    {map[string]string{"APITOKEN": "x"}, map[string]string{"APITOKEN": "API_TOKEN"}, false},
		"a short one, far":      {map[string]string{"VERILY": "x"}, nil, false},
		"a short one, the same": {map[string]string{"Verify": "x"}, map[string]string{"Verify": "VERIFY"}, true},
		"of others": {map[string]string{"PATH": "x", "CI_REGISTRY": "x", "GITLAB_CI": "true", "GITLAB_USER_ID": "1", "LOGNAME": "x",
			"HTTPS_PROXY": "x", "CI_NODE_INDEX": "1", "CI_NODE_TOTAL": "1", "GITLAB_HOST": "x", "CI_COMMIT_TAG": "x",
			"IMAGE_TAG": "x", "IMAGE_NAME": "x", "INCLUDE": "x", "MAX_AGE": "x", "RUN": "x", "GITLAB_PROJECT_PATH": "x"}, nil, false},
		"three edits": {map[string]string{"PROTECTED": "x"}, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			environment := (&program{environment: envconfig.MapLookuper(test.environment)}).settings(commandRun)
			found := mistypings(slices.Collect(maps.Keys(test.environment)), environment)
			var meant map[string]string
			for _, m := range found {
				if meant == nil {
					meant = make(map[string]string)
				}
				meant[m.name] = m.variable
			}
			if diff := cmp.Diff(test.meant, meant); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if err := new(Config).refuseMistyped(found, environment); (err != nil) != test.refused {
				t.Errorf("a real run: %v", err)
			}
			if err := (&Config{DryRun: true}).refuseMistyped(found, environment); err != nil {
				t.Errorf("a dry run: %v", err)
			}
		})
	}
}
