// Package gitlabtest is a GitLab in memory: the part of its REST API and of its
// GraphQL that deals with container registries, what Rails makes of the registry
// behind it, and that registry itself. Tests, the demo and the benchmarks run
// against it.
//
// It is written from what GitLab does, not from what a client expects, and
// shares no type with one: a field that both sides name wrongly would
// otherwise never be noticed.
//
// It has three parts, each in files of its own:
//
//   - The world (world*.go) is what there is before the first request: projects,
//     repositories and tags, each with the truth about what has to become of it.
//     A [World] is built by hand, or by [RandomWorld], [EvenWorld] or [DemoWorld].
//   - The server (server.go, api_*.go, git.go, graphql*.go, registry_*.go) answers
//     requests. [New] copies a world into a [Server], an [net/http.Handler] that
//     changes only its own copy (state.go, store.go): one world can serve many
//     servers, one after the other or at once.
//   - The faults (faults.go, effects.go) are what goes wrong with it. See [Fault].
//
// The registry (/v2, on an instance with the metadata database /gitlab/v1, and /jwt/auth,
// which gives out tokens for both) is served under the host that is asked, or under one of
// its own ([WithRegistryHost], [Server.Registry]). Manifests are those that a real BuildKit
// pushed; their layers, and the children of indexes, were not kept and are made up, so that
// every digest in them can be asked for. Blobs cannot be pushed, but manifests can: a tag
// that was deleted is brought back by its bytes.
//
// Of a merge request there are its notes, and nothing else.
//
// Of a project's Git repository there are the names of its branches and tags: over REST, and as
// Git over HTTP lists them.
//
// /api/graphql executes queries and mutations against an excerpt of GitLab's schema,
// schema.graphql. Before anything else becomes of an operation, it is measured: what kind it
// is, which [Fault] and [Stats] ask, and what it costs. The points are a guess at GitLab's,
// made so that what was measured there comes out.
//
// # Promises
//
// It is strict. An endpoint, method or query parameter that it does not know,
// a field, argument or type that is not in the schema, and a value that GitLab
// would refuse, are answered with an error and kept in [Stats] as a violation.
//
// It keeps count. [Server.Stats], [Server.Deleted] and [Server.Remaining] say
// what was asked, what was deleted and what is left, with the truth about every tag.
//
// It fails on request only, and reproducibly: whether a fault
// with a probability happens depends on the seed, the path and how often the
// path was asked for, and so not on the order in which goroutines arrive.
//
// It scales to a million tags: they share their manifests, a page costs what
// is on it, and a look-up is a binary search.
//
// Time may be fake: nothing waits but for timers, and [Server.Transport] needs no
// network, so that all of it works in a bubble of testing/synctest.
//
// # Limits
//
// Access levels, visibility and sharing between groups are reduced to what
// the fields of [Project] and [WithRole] say; a public project gives tokens for its registry to
// members only, and GraphQL answers nothing without a token. Nothing
// that a real GitLab does in the background happens here: a repository marked for
// deletion stays as it is, and manifests without a tag are never collected.
package gitlabtest
