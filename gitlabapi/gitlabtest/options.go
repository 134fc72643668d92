package gitlabtest

import (
	"regexp"
	"strings"
	"time"
)

// DefaultToken is the token of a server that was given none; its scope is api.
const DefaultToken = "glpat-standin"

// Option changes a server that [New] makes.
type Option func(*options)

type options struct {
	// What the instance is.
	tokens          map[string][]string
	seed            uint64
	clock           func() time.Time
	ratePerMinute   int
	log             bool
	externalURL     string
	basePath        string
	registryHost    string
	openRegistry    bool
	realRegistry    string
	protectedTags   *regexp.Regexp
	complexityLimit int
	noGraphQL       bool
	role            Role
	withoutFields   []string
	noRulesOverREST bool
	noGit           bool
	oldRegistry     bool
	ownAPIAnyway    bool
	noKeysetTags    bool
	railsReadsV2    bool
	namesAreDigests bool
	indexDetails    IndexDetails
	goneIsMissing   bool
	goneIsForbidden bool

	// What is wrong with it.
	faults        []Fault
	notFoundCache *NotFoundCache
	foreignURL    string
	repeatPages   bool
	noPageHeaders bool
}

// WithToken lets a token in, with its scopes. It can be given several times;
// [DefaultToken] then holds only if it is among them.
func WithToken(token string, scopes ...string) Option {
	return func(o *options) { o.tokens[token] = scopes }
}

// WithFaults sets what goes wrong from the start; see [Server.SetFaults].
func WithFaults(f ...Fault) Option { return func(o *options) { o.faults = append(o.faults, f...) } }

// WithSeed seeds the draws of faults that have a probability.
func WithSeed(seed uint64) Option { return func(o *options) { o.seed = seed } }

// WithClock sets the clock of rate limits, records and pushes. Latency is not
// measured by it.
func WithClock(now func() time.Time) Option { return func(o *options) { o.clock = now } }

// WithRateLimit lets each token make so many requests in each minute of the
// clock, says so in RateLimit headers of every answer, and answers 429 with
// Retry-After beyond.
func WithRateLimit(perMinute int) Option { return func(o *options) { o.ratePerMinute = perMinute } }

// WithLog keeps a record of every request; see [Server.Requests].
func WithLog() Option { return func(o *options) { o.log = true } }

// WithExternalURL sets the scheme, host and path that links to further pages
// begin with. By default they begin with what was asked for.
func WithExternalURL(url string) Option {
	return func(o *options) { o.externalURL = strings.TrimSuffix(url, "/") }
}

// WithBasePath puts the instance under a relative root such as /gitlab.
func WithBasePath(path string) Option {
	return func(o *options) { o.basePath = strings.TrimSuffix(path, "/") }
}

// WithRegistryHost gives the registry a host of its own: locations begin with
// it, its paths are served there, and nowhere else. By default one host has
// everything. WithExternalURL should say where the instance is, which gives out the tokens.
func WithRegistryHost(host string) Option { return func(o *options) { o.registryHost = host } }

// WithoutPaginationHeaders strips Link and all X- headers, as some proxies do.
func WithoutPaginationHeaders() Option { return func(o *options) { o.noPageHeaders = true } }

// WithRepeatedPages makes every paginated list go on for ever: past its end the last
// page comes again, and each page says that there is a next.
func WithRepeatedPages() Option { return func(o *options) { o.repeatPages = true } }

// WithNotFoundCache puts a proxy before the registry.
func WithNotFoundCache(c NotFoundCache) Option { return func(o *options) { o.notFoundCache = &c } }

// WithForeignLinks makes links to further pages point to another instance,
// such as http://elsewhere.example.
func WithForeignLinks(url string) Option {
	return func(o *options) { o.foreignURL = strings.TrimSuffix(url, "/") }
}

// WithGoneTagsMissing makes the deletion of a tag that is gone a 404, as old
// versions of GitLab do, where it is a 200 now.
func WithGoneTagsMissing() Option { return func(o *options) { o.goneIsMissing = true } }

// WithGoneTagsForbidden makes the deletion over REST of a tag that cannot be looked up a 403, as since
// about GitLab 18.3 where the registry has a database: it is gone, or has a short name that a hundred
// others contain.
func WithGoneTagsForbidden() Option { return func(o *options) { o.goneIsForbidden = true } }

// IndexDetails is what a version of GitLab says about tags that are an OCI index, on
// LEGACY. The truth of a [World] assumes the first.
type IndexDetails int

const (
	// IndexMissing is a 404: up to GitLab 18.9. Of a Docker manifest list the details are
	// those of its linux/amd64 child.
	IndexMissing IndexDetails = iota
	// IndexError is a 500, for Docker manifest lists as well: 18.10 to 19.1.
	IndexError
	// IndexEmpty is a 200 with a digest, where revision, date and size are null, for
	// Docker manifest lists as well: since 19.2.
	IndexEmpty
)

// WithIndexDetails sets what the details of indexes are.
func WithIndexDetails(d IndexDetails) Option { return func(o *options) { o.indexDetails = d } }

// WithNamesTakenForDigests lets the registry send for a tag named sha256-<hex> the manifest of
// that digest, where it has it, as registry.gitlab.com was seen to do.
func WithNamesTakenForDigests() Option { return func(o *options) { o.namesAreDigests = true } }

// WithOldRegistry makes the registry one from before it said whether it has a
// database, and before it knew name_exact, which it ignores.
func WithOldRegistry() Option { return func(o *options) { o.oldRegistry = true } }

// WithOwnAPIAnyway makes /gitlab/v1/ itself a 200 without a database, too, as before registry 3.60.
func WithOwnAPIAnyway() Option { return func(o *options) { o.ownAPIAnyway = true } }

// WithoutKeysetTags makes Rails ignore that tags are asked for in pages after a name, as before
// 16.10: it answers with a page by number.
func WithoutKeysetTags() Option { return func(o *options) { o.noKeysetTags = true } }

// WithRailsOnV2 makes Rails read /v2 of a registry that has a database, as self-managed instances did
// before 17.4: to Rails it is like one without.
func WithRailsOnV2() Option { return func(o *options) { o.railsReadsV2 = true } }

// rails is the regime as which Rails treats the registry.
func (s *Server) rails() Regime {
	if s.options.railsReadsV2 {
		return Legacy
	}
	return s.state.regime
}

// WithoutRegistryAuth makes the registry ask for no token, as registries do that
// stand alone.
func WithoutRegistryAuth() Option { return func(o *options) { o.openRegistry = true } }

// WithRealRegistry puts a real registry, which wants no token and allows
// deletions, behind the server: Rails asks it, and requests to
// /v2 are handed on to it once their token is found good. The regime must be
// LEGACY. [Server.PushTo] fills it. A tag without a manifest cannot be made there,
// and is left out of this server too.
func WithRealRegistry(url string) Option {
	return func(o *options) { o.realRegistry = strings.TrimSuffix(url, "/") }
}

// WithProtectedTags makes GitLab protect all tags whose names match: REST answers
// their deletion 403, the registry 401, GraphQL skips them in silence.
func WithProtectedTags(names *regexp.Regexp) Option {
	return func(o *options) { o.protectedTags = names }
}

// WithRole sets the role of the tokens' user in every project that it is a member of; by default
// it is a Developer. Rules for protected tags hold those whose role is too low and are shown to
// Maintainers and higher; an Administrator is held by immutable ones only.
func WithRole(r Role) Option { return func(o *options) { o.role = r } }

// WithoutProtectionRules makes the instance one from before projects had rules for protected
// tags: neither GraphQL nor REST knows them. To ask is no violation.
func WithoutProtectionRules() Option {
	return func(o *options) {
		WithoutFields("Project.containerProtectionTagRules")(o)
		WithoutProtectionRulesOverREST()(o)
	}
}

// WithoutProtectionRulesOverREST lets GraphQL alone know the rules, as before GitLab 18.7.
func WithoutProtectionRulesOverREST() Option { return func(o *options) { o.noRulesOverREST = true } }

// WithoutGit refuses Git over HTTP, as an instance does that has it switched off.
func WithoutGit() Option { return func(o *options) { o.noGit = true } }

// WithoutFields takes fields from GraphQL's schema, such as Project.topics, as in versions from
// before them. To ask for one is no violation.
func WithoutFields(fields ...string) Option {
	return func(o *options) { o.withoutFields = append(o.withoutFields, fields...) }
}

// keeps returns the answer of the registry when the user may not push or delete a tag, nil when
// it may.
func (s *Server) keeps(p *project, tag string, needed func(ProtectionRule) Role) *answer {
	switch {
	case s.options.protectedTags != nil && s.options.protectedTags.MatchString(tag):
		return tagProtected()
	case p == nil:
		return nil
	}
	held := false
	for _, r := range p.rules {
		switch {
		case !r.protects(tag):
		case r.Immutable:
			return tagImmutable()
		case s.options.role < needed(r.ProtectionRule):
			held = true
		}
	}
	if held {
		return tagProtected()
	}
	return nil
}

func toPush(r ProtectionRule) Role   { return r.Push }
func toDelete(r ProtectionRule) Role { return r.Delete }

// protects says whether the user may not delete a tag.
func (s *Server) protects(p *project, tag string) bool { return s.keeps(p, tag, toDelete) != nil }

// WithoutGraphQL makes GraphQL a 404, as where a proxy does not let it through.
func WithoutGraphQL() Option { return func(o *options) { o.noGraphQL = true } }

// WithoutRepositoriesCount takes containerRepositoriesCount from projects, as in
// versions of GitLab before it. To ask for it is no violation.
func WithoutRepositoriesCount() Option { return WithoutFields("Project.containerRepositoriesCount") }

// WithComplexityLimit sets what an operation may cost; by default 250, as for a
// signed-in user, and 300 for an [Administrator].
func WithComplexityLimit(limit int) Option { return func(o *options) { o.complexityLimit = limit } }
