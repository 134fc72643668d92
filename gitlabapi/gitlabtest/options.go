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
	tokens        map[string][]string
	faults        []Fault
	seed          uint64
	clock         func() time.Time
	ratePerMinute int
	log           bool
	externalURL   string
	basePath      string
	registryHost  string
	foreignURL    string
	repeatPages   bool
	noPageHeaders bool
	goneIsMissing bool
	noTagKeyset   bool
	multiArchFail bool
	tokenLife     time.Duration
	banAfter      int
	openRegistry  bool
	cannotDelete  bool
	oldRegistry   bool
	backendURL    string
	protectedTags *regexp.Regexp
	noGraphQL     bool
	// noRepositoriesCount: projects do not say how many repositories they have.
	noRepositoriesCount bool
	complexityLimit     int
	notFoundCache       *NotFoundCache
	goneForbidden       bool
}

// WithToken lets a token in, with its scopes. It can be given several times;
// [DefaultToken] then holds only if it is among them.
func WithToken(token string, scopes ...string) Option {
	return func(o *options) { o.tokens[token] = scopes }
}

// WithFaults sets what goes wrong from the start; see [Server.SetFaults].
func WithFaults(f ...Fault) Option {
	return func(o *options) { o.faults = append(o.faults, f...) }
}

// WithSeed seeds the draws of faults that have a probability.
func WithSeed(seed uint64) Option {
	return func(o *options) { o.seed = seed }
}

// WithClock sets the clock of rate limits, records and pushes. Latency is not
// measured by it.
func WithClock(now func() time.Time) Option {
	return func(o *options) { o.clock = now }
}

// WithRateLimit lets each token make so many requests in each minute of the
// clock, says so in RateLimit headers of every answer, and answers 429 with
// Retry-After beyond.
func WithRateLimit(perMinute int) Option {
	return func(o *options) { o.ratePerMinute = perMinute }
}

// WithLog keeps a record of every request; see [Server.Requests].
func WithLog() Option {
	return func(o *options) { o.log = true }
}

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
// it, its paths are served there, and nowhere else. By default the one host
// that is asked has everything. Behind a second listener, see
// [Server.Registry], WithExternalURL should say where the instance is.
func WithRegistryHost(host string) Option {
	return func(o *options) { o.registryHost = host }
}

// WithoutPaginationHeaders strips Link and all X- headers, as some proxies do.
func WithoutPaginationHeaders() Option {
	return func(o *options) { o.noPageHeaders = true }
}

// WithRepeatedPages makes every list go on for ever: past its end the last
// page comes again, and each page says that there is a next.
func WithRepeatedPages() Option {
	return func(o *options) { o.repeatPages = true }
}

// WithForeignLinks makes links to further pages point to another instance,
// such as http://elsewhere.example.
func WithForeignLinks(url string) Option {
	return func(o *options) { o.foreignURL = strings.TrimSuffix(url, "/") }
}

// WithGoneTagsMissing makes the deletion of a tag that is gone a 404, as old
// versions of GitLab do, where it is a 200 now.
func WithGoneTagsMissing() Option {
	return func(o *options) { o.goneIsMissing = true }
}

// WithGoneTagsForbidden makes the deletion of a tag that Rails cannot look up a 403 on
// DATABASE, as since GitLab 18.3: of one that is gone, or that hides behind a hundred
// longer names.
func WithGoneTagsForbidden() Option {
	return func(o *options) { o.goneForbidden = true }
}

// WithoutTagKeyset makes lists of tags pass over pagination=keyset and answer
// offset pages, as GitLab before 16.10 does.
func WithoutTagKeyset() Option {
	return func(o *options) { o.noTagKeyset = true }
}

// WithMultiArchErrors makes the details of multi-arch images a 500 on LEGACY,
// as some versions of GitLab do.
func WithMultiArchErrors() Option {
	return func(o *options) { o.multiArchFail = true }
}

// WithTokenLife sets how long tokens for the registry hold by the server's
// clock; by default, as in GitLab's, 5 minutes.
func WithTokenLife(d time.Duration) Option {
	return func(o *options) { o.tokenLife = d }
}

// WithBanAfter sets how many passwords /jwt/auth refuses within 3 minutes
// before it refuses their address for an hour; by default 30.
func WithBanAfter(refused int) Option {
	return func(o *options) { o.banAfter = refused }
}

// WithoutRegistryDelete makes the user a Developer, who may delete tags by the
// API but gets no token to delete them at the registry.
func WithoutRegistryDelete() Option {
	return func(o *options) { o.cannotDelete = true }
}

// WithOldRegistry makes the registry one from before it said whether it has a
// database, and before it knew name_exact, which it passes over.
func WithOldRegistry() Option {
	return func(o *options) { o.oldRegistry = true }
}

// WithoutRegistryAuth lets everybody into the registry, as registries do that
// stand alone.
func WithoutRegistryAuth() Option {
	return func(o *options) { o.openRegistry = true }
}

// WithRegistryBackend puts a real registry, which wants no token and allows
// deletions, in the place of the one in memory: Rails asks it, and requests to
// /v2 are handed on to it once their token is found good. The regime must be
// LEGACY. [Server.PushTo] fills it. A tag without a manifest cannot be made there,
// and is left out of this server too; tags_count is what the server knows itself.
func WithRegistryBackend(url string) Option {
	return func(o *options) { o.backendURL = strings.TrimSuffix(url, "/") }
}

// WithProtectedTags makes GitLab guard all tags whose names match: REST and the
// registry answer their deletion 403, GraphQL passes over them in silence.
func WithProtectedTags(names *regexp.Regexp) Option {
	return func(o *options) { o.protectedTags = names }
}

// WithoutGraphQL makes GraphQL a 404, as where somebody closed it.
func WithoutGraphQL() Option {
	return func(o *options) { o.noGraphQL = true }
}

// WithoutRepositoriesCount takes containerRepositoriesCount from projects, as in
// versions of GitLab before it. To ask for it is no violation.
func WithoutRepositoriesCount() Option {
	return func(o *options) { o.noRepositoriesCount = true }
}

// WithComplexityLimit sets what an operation may cost; by default 250, as for a
// signed-in user.
func WithComplexityLimit(limit int) Option {
	return func(o *options) { o.complexityLimit = limit }
}

// WithGoneTagsNamed changes nothing any more: a mutation always names tags as deleted
// that were gone before, as GitLab does.
func WithGoneTagsNamed() Option { return func(*options) {} }
