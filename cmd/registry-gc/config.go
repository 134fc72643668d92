package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"reflect"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"

	"github.com/sethvargo/go-envconfig"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
	"gitlab.com/registry-gc/registry-gc/pipeline"
	"gitlab.com/registry-gc/registry-gc/pipeline/report/metrics"
)

// Config is the contract with users: each field is an environment variable and a flag. The tag
// "group" says under which heading it stands, "is" what it is for, with 'quotes' around what is typed,
// and "must" what its value has to be. --help, the flags, the table in docs/settings.md and the
// messages about bad values are made of them.
type Config struct {
	GitLabURL string          `env:"GITLAB_URL,default=$CI_SERVER_URL" group:"required" must:"be the address of the instance, such as https://gitlab.example.com" is:"address of the GitLab instance, with its path if it has one"`
	Token     throttle.Secret `env:"GITLAB_TOKEN,default=$API_TOKEN" group:"required" must:"be an access token with scope api (personal, of a group or of a project), on one line" is:"access token with scope 'api'; on a command line other users of the machine can see it"`
	TokenFile string          `env:"GITLAB_TOKEN_FILE" default:"none" group:"required" must:"be a file that holds the token" is:"file that holds the token; not read where GITLAB_TOKEN is set"`

	Groups     []string    `env:"GITLAB_GROUPS" default:"all" group:"scope" must:"name at least one group, by full path or id; leave it unset for all" is:"groups to look at, with their subgroups: full paths or ids, comma-separated; with GITLAB_PROJECTS, the projects of either"`
	Projects   []string    `env:"GITLAB_PROJECTS" default:"all" group:"scope" must:"name at least one project, by full path or id; leave it unset for all" is:"projects to look at: full paths or ids, comma-separated"`
	Exclude    []string    `env:"EXCLUDE" default:"none" group:"scope" must:"name at least one group, project or repository by full path, not by id; * stands for any text in a name, ** for any names" is:"groups, projects and repositories to leave alone, with all below them: full paths, comma-separated; '*' stands for any text in a name, '**' for any names"`
	Membership string      `env:"GITLAB_MEMBERSHIP,default=auto" group:"scope" one_of:"auto,true,false" is:"only projects that the token's user is a member of: 'true', 'false', 'auto' (true on gitlab.com)"`
	ShardIndex shardNumber `env:"SHARD_INDEX" default:"$JOB_COMPLETION_INDEX" group:"scope" is:"which of several processes this is, from 0: each takes a part of the projects; by default also CI_NODE_INDEX, less 1"`
	ShardCount shardNumber `env:"SHARD_COUNT" default:"$CI_NODE_TOTAL" group:"scope" is:"how many processes share the projects and the rate limit"`

	Rules              string   `env:"RULES,default=default" group:"what" must:"be default, original, or a file that can be read" is:"rules that decide: 'default', 'original' (those of the script that this program replaces, to the letter), or a file"`
	DeleteKinds        []string `env:"DELETE_KINDS,default=cache-index,missing-manifest" group:"what" must:"be a list of cache-index, attested-image, missing-manifest and multi-arch" is:"kinds of old tags that GitLab cannot date to delete, comma-separated: 'cache-index', 'missing-manifest', 'attested-image', 'multi-arch'; the last two are images that can be pulled, and are deleted only when named here"`
	Orphans            string   `env:"ORPHANS,default=auto" group:"what" one_of:"auto,undated,any,off" is:"build caches without their image to delete: 'undated', 'any', 'off', 'auto' (undated where the registry has no metadata database, any where it has one)"`
	CacheSuffix        string   `env:"CACHE_SUFFIX,default=.cache" group:"what" must:"be an ending that a repository can have, such as .cache or /cache" is:"how the names of cache repositories end"`
	MinAge             duration `env:"MIN_AGE,default=24h" group:"what" must:"be a time in days, hours, minutes or seconds, such as 2d, 24h or 1d12h; 0 for none" is:"keep what is younger, where its age is known; '0': nothing is kept for its age"`
	ImageAge           duration `env:"IMAGE_AGE,default=30d" group:"what" must:"be a time in days, hours, minutes or seconds, such as 30d or 36h; 0 for none" is:"keep what is younger of what GitLab cannot date but the registry can: images with attestations, caches exported as an index; '0': delete it at any age"`
	ProtectedTags      []string `env:"PROTECTED_TAGS" default:"none" group:"what" must:"name at least one tag; names are separated by commas, patterns go into PROTECTED_TAGS_REGEX" is:"tags never to delete, besides 'latest', 'master' and 'main': exact names, comma-separated"`
	ProtectedTagsRegex pattern  `env:"PROTECTED_TAGS_REGEX" default:"none" group:"what" must:"be a regular expression in RE2 syntax" is:"tags never to delete, besides '^v.*\\..*\\..*': a regular expression (RE2) that matches anywhere in a name unless it is anchored"`
	ProtectDefaults    bool     `env:"PROTECT_DEFAULTS,default=true" group:"what" must:"be true or false" is:"'false': protect only what PROTECTED_TAGS and PROTECTED_TAGS_REGEX name, and not 'latest', 'master', 'main' and '^v.*\\..*\\..*'"`
	InUse              []string `env:"IN_USE" default:"none" group:"what" must:"name at least one file, - or environments" is:"images in use, which are kept, comma-separated: files with references, as kubectl prints them; '-' for standard input; 'environments' for what GitLab's environments have deployed"`

	DryRun       bool   `env:"DRY_RUN,default=false" group:"safety" must:"be true or false" is:"decide and report, delete nothing"`
	MaxDeletions limit  `env:"MAX_DELETIONS" default:"none" group:"safety" must:"be a number, at least 1" is:"if more tags would be deleted, none is: the run goes on as a dry run, and ends with code 4"`
	Verify       string `env:"VERIFY,default=registry" group:"safety" one_of:"registry,api" is:"whose word a deletion needs: 'registry' (the registry's own; where it cannot be asked the run ends at once and says why) or 'api' (GitLab's, asked again before a deletion; the registry is never asked)"`
	RegistryURL  string `env:"REGISTRY_URL" default:"from GitLab" group:"safety" must:"be the address of the registry, such as https://registry.example.com" is:"address of the registry, if it is not where GitLab says: HTTPS without a scheme, but HTTP on loopback"`

	Concurrency    int      `env:"CONCURRENCY,default=16" group:"speed" must:"be a number from 1 to 1000" is:"requests at the same time"`
	RateLimit      float64  `env:"RATE_LIMIT,default=20" group:"speed" must:"be a number of requests a second, such as 20 or 0.5; 0 for no limit" is:"requests a second to the instance, of all shards together; '0': no limit"`
	RateBurst      int      `env:"RATE_BURST,default=20" group:"speed" must:"be a number of requests, at least 1" is:"requests that may be sent at once after a pause, of all shards together"`
	RequestTimeout duration `env:"REQUEST_TIMEOUT,default=30s" group:"speed" must:"be a time in days, hours, minutes or seconds, such as 30s or 2m" is:"how long one attempt of a request may take"`
	MaxRetries     int      `env:"MAX_RETRIES,default=5" group:"speed" must:"be a number from 0 to 100" is:"how often a request is repeated after a failure that may pass"`
	MaxRuntime     duration `env:"MAX_RUNTIME,default=0" group:"speed" must:"be a time in days, hours, minutes or seconds, such as 90m, 24h or 1d12h; 0 for none" is:"stop in good order after this long; '0': never"`

	LogFormat          string          `env:"LOG_FORMAT,default=auto" group:"output" one_of:"auto,text,json" is:"'text', 'json', 'auto' (text on a terminal and in a GitLab job, JSON lines elsewhere)"`
	LogLevel           slog.Level      `env:"LOG_LEVEL,default=info" group:"output" must:"be debug, info, warn or error" is:"'debug', 'info', 'warn', 'error'"`
	ReportDir          string          `env:"REPORT_DIR" default:"none" group:"output" must:"be a folder that can be written" is:"folder for 'summary.json', 'decisions.jsonl', 'report.html', 'metrics.txt', plan and journal; each of several shards has a folder of its own in it"`
	ReportKept         bool            `env:"REPORT_KEPT,default=false" group:"output" must:"be true or false" is:"write kept tags to 'decisions.jsonl' and 'report.html', too"`
	Pushgateway        throttle.Secret `env:"PUSHGATEWAY_URL" default:"none" group:"output" must:"be the address of a Pushgateway, such as http://pushgateway.example.com:9091, with user and password if it wants them" is:"Prometheus Pushgateway that gets the run's metrics, such as 'http://pushgateway.example.com:9091'; user and password in it are shown nowhere"`
	MergeRequestNote   bool            `env:"MERGE_REQUEST_NOTE,default=false" group:"output" must:"be true or false" is:"in a pipeline of a merge request, write the summary as a note there, one that is brought up to date; takes a token with scope 'api', in a plan, too"`
	IncompleteExitCode int             `env:"INCOMPLETE_EXIT_CODE,default=3" group:"output" must:"be 0, 3, or a number from 5 to 63" is:"exit code in place of 3, which says that a run is done, but for something that another run might settle; '0' for a schedule that is not to fail then"`
}

// groups are the headings that settings stand under, in this order.
var groups = []struct{ name, title string }{
	{"required", "Required"},
	{"scope", "Scope (what is looked at)"},
	{"what", "What is deleted and what is kept"},
	{"safety", "Safety"},
	{"speed", "Speed"},
	{"output", "Output"},
}

// pattern is a regular expression as a variable holds it; empty, there is none.
type pattern string

// UnmarshalText implements [encoding.TextUnmarshaler].
func (p *pattern) UnmarshalText(text []byte) error {
	*p = pattern(text)
	_, err := regexp.Compile(string(text))
	return err
}

// limit is how many there may be; 0, there is no limit. It cannot be set to that, which looks like
// none at all.
type limit int

// UnmarshalText implements [encoding.TextUnmarshaler].
func (l *limit) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		return nil // not set
	}
	n, err := strconv.ParseUint(string(text), 10, 31)
	if err == nil && n == 0 {
		err = errors.New("none may go")
	}
	*l = limit(n)
	return err
}

// suffixPattern is what the names of repositories can end with.
var suffixPattern = regexp.MustCompile(`^[a-z0-9._/-]*[a-z0-9]$`)

// acceptable has the fields of which not every value of their type is valid.
var acceptable = map[string]func(*Config) bool{
	"CacheSuffix":    func(c *Config) bool { return suffixPattern.MatchString(c.CacheSuffix) },
	"GitLabURL":      func(c *Config) bool { return parses(throttle.ParseURL(c.GitLabURL)) },
	"Concurrency":    func(c *Config) bool { return c.Concurrency >= 1 && c.Concurrency <= 1000 },
	"RateLimit":      func(c *Config) bool { return c.RateLimit >= 0 && c.RateLimit <= 1e6 },
	"RateBurst":      func(c *Config) bool { return c.RateBurst >= 1 },
	"RequestTimeout": func(c *Config) bool { return c.RequestTimeout > 0 },
	"Rules":          func(c *Config) bool { return isRules(c.Rules) },
	"Exclude":        func(c *Config) bool { return parses(pipeline.ParseExclude(c.Exclude)) },
	"MaxRetries":     func(c *Config) bool { return c.MaxRetries >= 0 && c.MaxRetries <= 100 },
	"DeleteKinds":    func(c *Config) bool { return !slices.ContainsFunc(c.DeleteKinds, isNoKind) },
	"ProtectedTags":  func(c *Config) bool { return !slices.ContainsFunc(c.ProtectedTags, isNoTag) },
	"RegistryURL":    func(c *Config) bool { return c.RegistryURL == "" || parses(registry.ParseURL(c.RegistryURL)) },
	"IncompleteExitCode": func(c *Config) bool {
		// Not what means something else: an error, bad usage, a guard, a signal, or what shells use.
		return c.IncompleteExitCode == exitDone || c.IncompleteExitCode == exitIncomplete || c.IncompleteExitCode > exitGuard && c.IncompleteExitCode < 64
	},
	"Pushgateway": func(c *Config) bool {
		return c.Pushgateway.IsZero() || parses(metrics.ParseGateway(c.Pushgateway.Reveal()))
	},
}

// parses reports whether a parser accepts its text.
func parses[T any](_ T, err error) bool { return err == nil }

// kinds are those that DELETE_KINDS can name: GitLab has details of all others.
var kinds = []manifest.Kind{manifest.KindCacheIndex, manifest.KindAttestedImage, manifest.KindMissingManifest, manifest.KindMultiArch}

func isNoKind(name string) bool { return !slices.Contains(kinds, manifest.Kind(name)) }

// isNoTag reports that no tag can have a name. Taken for one, such as "release-*", it
// would protect nothing, which would show when the tags are deleted.
func isNoTag(name string) bool { return registry.CheckTag(name) != nil }

// loadConfig reads the configuration. All that is wrong is in the error, each a
// [*problem].
func loadConfig(ctx context.Context, lookuper envconfig.Lookuper) (*Config, error) {
	config := new(Config)
	problems := config.load(ctx, lookuper, nil)
	problems = append(problems, config.resolveShard(lookuper)...)
	if err := config.resolveToken(lookuper); err != nil {
		problems = append(problems, err)
	}
	return config, errors.Join(problems...)
}

// load reads the fields of these variables, or all if none are named, each for itself.
func (c *Config) load(ctx context.Context, lookuper envconfig.Lookuper, names []string) (problems []error) {
	for field, value := range reflect.ValueOf(c).Elem().Fields() {
		if names != nil && !has(names, field) {
			continue
		}
		valid := !setToNothing(field, lookuper) && loadField(ctx, field, value, lookuper)
		if choices, ok := field.Tag.Lookup("one_of"); ok {
			valid = valid && slices.Contains(strings.Split(choices, ","), value.String())
		}
		if accepts, ok := acceptable[field.Name]; ok {
			valid = valid && accepts(c)
		}
		if !valid {
			problems = append(problems, mustBe(field, lookuper))
		}
	}
	if err := checkFolder(c.ReportDir); err != nil {
		problems = append(problems, err)
	}
	return problems
}

// checkFolder makes sure that reports can be written, before there is anything to
// report.
func checkFolder(dir string) error {
	if dir == "" {
		return nil
	}
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		var probe *os.File
		if probe, err = os.CreateTemp(dir, ".registry-gc-*"); err == nil {
			err = errors.Join(probe.Close(), os.Remove(probe.Name()))
		}
	}
	if err != nil {
		return &problem{"REPORT_DIR", "must be a folder that can be written: " + err.Error()}
	}
	return nil
}

// setToNothing reports whether a variable is set to nothing that must not be.
func setToNothing(field reflect.StructField, lookuper envconfig.Lookuper) bool {
	name, _ := variableOf(field)
	value, set := lookuper.Lookup(name)
	return set && value == ""
}

// loadField reads one field and reports whether its value is of its type. go-envconfig
// stops at the first bad value of a struct, so each field is given to it in a struct
// of its own.
func loadField(ctx context.Context, field reflect.StructField, value reflect.Value, lookuper envconfig.Lookuper) bool {
	if field.Type.Kind() == reflect.Bool || field.Name == "Membership" {
		lookuper = plainBools{lookuper}
	}
	single := reflect.New(reflect.StructOf([]reflect.StructField{field}))
	if envconfig.ProcessWith(ctx, &envconfig.Config{Target: single.Interface(), Lookuper: lookuper}) != nil {
		return false
	}
	value.Set(single.Elem().Field(0))
	list, isList := value.Interface().([]string)
	if !isList || len(list) == 0 {
		return true
	}
	// A list that was given and names nothing is a mistake, such as "$A,$B" with both
	// empty; taken for no list at all it would mean everything.
	list = trimmed(list)
	value.Set(reflect.ValueOf(list))
	return len(list) > 0
}

// trimmed drops the space around the entries of a list, and the empty ones.
func trimmed(list []string) []string {
	var entries []string
	for _, entry := range list {
		if entry = strings.TrimSpace(entry); entry != "" {
			entries = append(entries, entry)
		}
	}
	return entries
}

// resolveToken takes the token from its file, unless GITLAB_TOKEN itself is set, and
// checks it.
func (c *Config) resolveToken(lookuper envconfig.Lookuper) error {
	source := "GITLAB_TOKEN"
	if _, set := lookuper.Lookup(source); !set && c.TokenFile != "" {
		source = "GITLAB_TOKEN_FILE"
		text, err := os.ReadFile(c.TokenFile)
		if err != nil {
			return &problem{source, "cannot be read: " + withoutPath(err)}
		}
		c.Token = throttle.NewSecret(string(text))
	} else if !set && !c.Token.IsZero() {
		source = "API_TOKEN"
	}
	token := c.Token.Reveal()
	visible := func(r rune) bool { return r > ' ' && r < 0x7f }
	switch {
	case token == "" && source == "GITLAB_TOKEN":
		return &problem{source, "there is no token: set GITLAB_TOKEN or GITLAB_TOKEN_FILE" + hintForNames(source, lookuper)}
	case token == "" || strings.TrimFunc(token, visible) != "":
		return &problem{source, "must " + fieldOf("Token").Tag.Get("must")}
	case strings.HasPrefix(token, "glcbt-"):
		return &problem{source, "is a CI job token, which reaches the registry of its own project only; it " +
			"must " + fieldOf("Token").Tag.Get("must")}
	}
	return nil
}

// withoutPath returns what is wrong with a file without its name, which may be the token
// in the wrong place.
func withoutPath(err error) string {
	if failed, ok := errors.AsType[*os.PathError](err); ok {
		err = failed.Err
	}
	return err.Error()
}

// What is protected unless PROTECT_DEFAULTS is false.
var protectedByDefault = []string{"latest", "master", "main"}

const protectedPatternByDefault = `^v.*\..*\..*`

// protection returns the names and the pattern of the tags that are never touched. The
// pattern is empty where there is none.
func (c *Config) protection() (names []string, matching string) {
	var patterns []string
	if c.ProtectDefaults {
		names, patterns = protectedByDefault, []string{"(?:" + protectedPatternByDefault + ")"}
	}
	if c.ProtectedTagsRegex != "" {
		// It comes last and without brackets: flags and an open \Q in it reach to the
		// end of the text.
		patterns = append(patterns, string(c.ProtectedTagsRegex))
	}
	return slices.Concat(names, c.ProtectedTags), strings.Join(patterns, "|")
}

// scope returns which projects are walked. The exclusion has been parsed before, when the
// configuration was read.
func (c *Config) scope() pipeline.Scope {
	exclude, _ := pipeline.ParseExclude(c.Exclude)
	return pipeline.Scope{
		Groups:     c.Groups,
		Projects:   c.Projects,
		Membership: c.membership(),
		Exclude:    exclude,
		Shard:      pipeline.Shard(c.shard()),
	}
}

// membership says whether only projects of the token's user are walked. On gitlab.com
// everything public is visible, which is not what a run is for.
func (c *Config) membership() bool {
	if c.Membership != "auto" {
		return c.Membership == "true"
	}
	u, err := throttle.ParseURL(c.GitLabURL)
	return err == nil && u.Hostname() == "gitlab.com"
}

// A problem is something wrong with one variable.
type problem struct{ variable, text string }

// Error implements error.
func (p *problem) Error() string { return p.variable + ": " + p.text }

// mustBe returns the problem of a field whose value is not what it has to be. It does
// not show the value, which may be a secret in the wrong place.
func mustBe(field reflect.StructField, lookuper envconfig.Lookuper) *problem {
	name, _ := variableOf(field)
	must := field.Tag.Get("must")
	if choices, ok := field.Tag.Lookup("one_of"); ok {
		must = "be one of " + strings.ReplaceAll(choices, ",", ", ")
	}
	if setToNothing(field, lookuper) {
		must += "; it is set to nothing"
	} else if find, ok := valueProblems[field.Name]; ok {
		value, _ := lookuper.Lookup(name)
		if text := find(value); text != "" {
			return &problem{name, text}
		}
	} else if hint, ok := valueHints[field.Name]; ok {
		value, _ := lookuper.Lookup(name)
		if must += hint(value); value == "" {
			must += hintForNames(name, lookuper)
		}
	}
	return &problem{name, "must " + must}
}

// otherNames are the names that other tools have for a variable.
var otherNames = map[string][]string{
	"GITLAB_TOKEN": {"GITLAB_ACCESS_TOKEN", "GITLAB_PRIVATE_TOKEN", "GITLAB_API_TOKEN", "PRIVATE_TOKEN", "GL_TOKEN", "CI_JOB_TOKEN"},
	"GITLAB_URL":   {"GITLAB_HOST", "GITLAB_BASE_URL", "GITLAB_API_URL", "CI_SERVER_HOST"},
}

// hintForNames says under which other name a variable that is missing may have been set.
func hintForNames(variable string, lookuper envconfig.Lookuper) string {
	for _, other := range otherNames[variable] {
		value, _ := lookuper.Lookup(other)
		switch {
		case value == "":
		case other == "CI_JOB_TOKEN":
			return "; CI_JOB_TOKEN will not do: it reaches the registry of its own project only"
		default:
			return "; " + other + " is set, and registry-gc reads " + variable
		}
	}
	return ""
}

// hintForURL says what is wrong with an address, without showing it: it may hold a password.
func hintForURL(address string) string {
	if address == "" {
		return ""
	}
	_, err := throttle.ParseURL(address)
	if _, withScheme := throttle.ParseURL("https://" + address); withScheme == nil && !strings.Contains(address, "://") {
		return "; add https:// before it"
	}
	return "; " + err.Error()
}

// valueProblems say what exactly is wrong with a value, or nothing, in which case all that it must be is said.
// Nor do they show what could be a secret.
var valueProblems = map[string]func(value string) string{
	"Exclude":       problemOfExclude,
	"ProtectedTags": problemOfTags,
}

// valueHints say of a value what exactly is wrong with it. They show no part of it that
// could be a secret.
var valueHints = map[string]func(value string) string{
	"GitLabURL":          hintForURL,
	"DeleteKinds":        hintForKinds,
	"ProtectedTagsRegex": hintForPattern,
	"Rules":              hintForRules,
}

// kindLike is what a kind looks like. No access token does.
var kindLike = regexp.MustCompile(`^[a-z]+(?:-[a-z]+)*$`)

// hintForKinds names the first entry that is no kind, if it is a short word.
func hintForKinds(list string) string {
	for _, entry := range trimmed(strings.Split(list, ",")) {
		if isNoKind(entry) && kindLike.MatchString(entry) && len(entry) <= 20 {
			return "; " + entry + " is none of them"
		}
	}
	return ""
}

// A patternLike entry may be shown: short words or numbers and a star among them, as no access token has
// one.
var patternLike = regexp.MustCompile(`^\^?(?:[a-z]{1,12}|[0-9]{1,4})?(?:[-._*/](?:[a-z]{1,12}|[0-9]{1,4})?){1,5}\$?$`)

// problemOfTags says of the first entry that no tag can be called what is wrong with it.
func problemOfTags(list string) string {
	for _, entry := range trimmed(strings.Split(list, ",")) {
		what := "one of the names"
		if strings.Contains(entry, "*") && patternLike.MatchString(entry) {
			what = strconv.Quote(entry)
		}
		switch {
		case !isNoTag(entry):
		case strings.ContainsAny(entry, " \t\n;"):
			return what + " has a blank or a semicolon in it; names are separated by commas"
		case strings.ContainsAny(entry, "/:"):
			return what + " has a slash or a colon in it; tags are named without their repository, and hold in all"
		default:
			return what + " is no tag name; patterns go into PROTECTED_TAGS_REGEX"
		}
	}
	return ""
}

// problemOfExclude says that a tag cannot be excluded, where one seems to be named.
func problemOfExclude(list string) string {
	if !strings.Contains(list, ":") || strings.Contains(list, "://") {
		return ""
	}
	return "one of the entries has a colon; a tag cannot be excluded, use PROTECTED_TAGS for its name"
}

// hintForPattern names the rule of regular expressions that is broken. The library's error
// also quotes the text.
func hintForPattern(text string) string {
	_, err := regexp.Compile(text)
	if broken, ok := errors.AsType[*syntax.Error](err); ok {
		return ": " + broken.Code.String()
	}
	return ""
}

// variableOf returns the variable of a field and its default.
func variableOf(field reflect.StructField) (name, value string) {
	name, options, _ := strings.Cut(field.Tag.Get("env"), ",")
	return name, strings.TrimPrefix(options, "default=")
}

// variableNamed returns the field of a variable, if there is one.
func variableNamed(name string) (found reflect.StructField, ok bool) {
	for field := range reflect.TypeFor[Config]().Fields() {
		if variable, _ := variableOf(field); variable == name {
			return field, true
		}
	}
	return found, false
}

func fieldOf(name string) reflect.StructField {
	field, _ := reflect.TypeFor[Config]().FieldByName(name)
	return field
}
