package gitlabtest

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// answering is an effect that answers the request.
func answering(do func(*call) *answer) Effect { return &effect{do: do} }

// changing is an effect after which the request is served.
func changing(do func(*call)) Effect {
	return &effect{do: func(c *call) *answer { do(c); return nil }}
}

// Reply answers with a status, a body as it is, and headers given as names and
// values in turn. Without a Content-Type among them it is application/json.
func Reply(status int, body string, header ...string) Effect {
	return answering(func(c *call) *answer {
		for i := 0; i+1 < len(header); i += 2 {
			c.header.Set(header[i], header[i+1])
		}
		return &answer{status: status, body: body}
	})
}

// registryCodes are those of errors that say no more than their status.
var registryCodes = map[int]string{
	http.StatusUnauthorized: "UNAUTHORIZED", http.StatusForbidden: "DENIED",
	http.StatusTooManyRequests: "TOOMANYREQUESTS", http.StatusServiceUnavailable: "UNAVAILABLE",
}

// Status answers with a status and a message in GitLab's form, or in the
// registry's where that is asked.
func Status(status int) Effect {
	return answering(func(c *call) *answer {
		if code, known := registryCodes[status]; c.registry && known {
			return registryFailure(status, code, http.StatusText(status), nil)
		} else if c.registry {
			return registryFailure(status, "UNKNOWN", http.StatusText(status), nil)
		}
		return failure(status, http.StatusText(status))
	})
}

// RetryAfter answers with a status, such as 429 or 503, and Retry-After.
func RetryAfter(status, seconds int) Effect {
	return answering(func(c *call) *answer {
		c.header.Set("Retry-After", strconv.Itoa(seconds))
		return &answer{status: status, body: "Retry later\n", contentType: "text/plain"}
	})
}

// RateLimited answers 429 without a word about when to come back, whatever the
// server's own rate limit would say.
func RateLimited() Effect {
	return answering(func(c *call) *answer {
		maps.DeleteFunc(c.header, func(name string, _ []string) bool { return strings.HasPrefix(name, "Ratelimit-") })
		return retryLater()
	})
}

// Refuse answers as GitLab does when it will not do a thing: 403 or 400.
func Refuse(status int) Effect {
	if status == http.StatusBadRequest {
		return answering(func(*call) *answer { return failure(status, "Bad request") })
	}
	return Status(status)
}

// HTML answers 200 with a sign-in page.
func HTML() Effect {
	const page = "<!DOCTYPE html>\n<html><head><title>Sign in · GitLab</title></head>" +
		"<body><form action=\"/users/sign_in\" method=\"post\"></form></body></html>\n"
	return Reply(http.StatusOK, page, "Content-Type", "text/html; charset=utf-8")
}

// Redirect answers 302 to an address.
func Redirect(to string) Effect {
	return Reply(http.StatusFound, "", "Location", to, "Content-Type", "text/html; charset=utf-8")
}

// Latency lets the request wait before it is served.
func Latency(d time.Duration) Effect { return changing(func(c *call) { c.wait(d) }) }

// wait ends with the connection when the client gives up.
func (c *call) wait(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.request.Context().Done():
		panic(http.ErrAbortHandler)
	}
}

// Cut closes the connection without an answer.
func Cut() Effect { return answering(func(*call) *answer { panic(http.ErrAbortHandler) }) }

// CutBody serves the request and closes the connection in the middle of the
// answer.
func CutBody() Effect { return changing(func(c *call) { c.cutBody = true }) }

// Halve serves the first half of the answer's body as if it were all of it.
func Halve() Effect { return changing(func(c *call) { c.halved = true }) }

// CutList serves only the first n items of a list, as if it ended there.
func CutList(n int) Effect {
	return changing(func(c *call) { c.cut = func(int) int { return n } })
}

// CutListTo serves only the first share of a list, as if it ended there.
func CutListTo(share float64) Effect {
	return changing(func(c *call) { c.cut = func(total int) int { return int(share * float64(total)) } })
}

// RegistryOutage lets Rails see a registry that answers errors: details are
// 404, lists of tags empty with 200, deletions 400. A request to the registry
// itself is answered 503.
func RegistryOutage() Effect { return changing(func(c *call) { c.registryFails = true }) }

// RegistryUnreachable lets Rails see no registry at all: 503, and 400 for
// deletions. A connection to the registry itself is cut.
func RegistryUnreachable() Effect { return changing(func(c *call) { c.registryUnreachable = true }) }

// Maintenance answers all that would change something as an instance in maintenance mode does: with
// status 503 or, in older versions, 403, and with Retry-After where seconds are more than 0.
func Maintenance(status, seconds int) Effect {
	said := "GitLab Maintenance: system is in maintenance mode"
	if status == http.StatusForbidden {
		said = "You cannot perform write operations on a read-only instance"
	}
	e := answering(func(c *call) *answer {
		if seconds > 0 {
			c.header.Set("Retry-After", strconv.Itoa(seconds))
		}
		return &answer{status: status, body: map[string]string{"message": said}}
	})
	e.concerns = func(c *call) bool { return c.changes() && !c.registry }
	return e
}

// RegistryReadOnly lets the registry refuse deletions, as one that is read-only for an import, or that
// is not GitLab's: 400 over REST, and an error of each mutation.
func RegistryReadOnly() Effect {
	e := changing(func(c *call) { c.registryFails = true })
	e.concerns = (*call).changes
	return e
}

// Unlinked makes tags entries of the registry's storage without a link, on LEGACY: they are listed, there
// is no such tag when it is asked for, and their deletion is a success that changes nothing.
func Unlinked(names *regexp.Regexp) Effect { return changing(func(c *call) { c.unlinked = names }) }

// DroppedPushes lets the registry answer the push of a manifest 201 and keep nothing of it, as one on
// LEGACY was seen to do that had run on through a garbage collection.
func DroppedPushes() Effect {
	return changing(func(c *call) { c.dropsPushes = c.server.state.regime == Legacy })
}

// isUnlinked says whether a tag is such an entry.
func (c *call) isUnlinked(tag string) bool {
	return c.unlinked != nil && c.server.state.regime == Legacy && c.unlinked.MatchString(tag)
}

// RegistryRefusesClients answers requests to the registry 503, while Rails reaches it as
// before.
func RegistryRefusesClients() Effect {
	return changing(func(c *call) { c.registryFails = c.registryFails || c.registry })
}

// ManifestBytes serves bytes instead of every manifest that there is, with
// their own digest.
func ManifestBytes(body []byte, contentType string) Effect {
	served := &manifest{digest: digestOf(body), mediaType: contentType, body: body}
	return changing(func(c *call) { c.manifest = served })
}

// WrongRealm lets the registry send its clients elsewhere for a token.
func WrongRealm(url string) Effect { return changing(func(c *call) { c.realm = url }) }

// ConfigUnreadable takes the date from the details of an image, on LEGACY.
func ConfigUnreadable() Effect { return changing(func(c *call) { c.configUnreadable = true }) }

// SlowDeletions lets the deletion of each tag take some time: a mutation of twenty tags
// takes twenty times as long. What has begun goes on when the client no longer waits.
func SlowDeletions(each time.Duration) Effect {
	return changing(func(c *call) { c.deletionTakes = each })
}

// ManifestsLost takes every manifest out of the registry's blob store, as where it is
// not mounted or was not restored: tags are listed as before, and each of their
// manifests is a 404 that names its digest, by tag as by digest. On LEGACY the details
// of such a tag are 404 as well. On DATABASE manifests are rows of the database, which
// a blob store takes nothing from: only blobs are 404 there.
//
// Skip, Count and Alternate of a [Fault] with this effect count reads of manifests and
// blobs alone, whichever way they come.
func ManifestsLost() Effect { return ManifestsLostOf(1) }

// ManifestsLostOf is [ManifestsLost] for a share of the tags, as while a store is being
// restored. A hash of their full names chooses them, so that they are the same ones in
// every run. By its digest a manifest is lost when one of its tags is.
func ManifestsLostOf(share float64) Effect {
	lost := func(path, tag string) bool {
		hash := sha256.Sum256([]byte(path + ":" + tag))
		return float64(binary.BigEndian.Uint32(hash[:]))/(1<<32) < share
	}
	e := changing(func(c *call) { c.lost, c.blobsLost = lost, share >= 1 })
	e.concerns = func(c *call) bool {
		return c.route != nil && !c.changes() && slices.Contains([]string{manifestTemplate, blobTemplate, tagTemplate}, c.route.template)
	}
	return e
}

// losesTag says whether the manifest of a tag cannot be found by this call.
func (c *call) losesTag(r *repository, tag string) bool {
	return c.lost != nil && c.server.state.regime == Legacy && c.lost(r.path, tag)
}

// losesDigest says the same of a manifest that is asked for by its digest.
func (c *call) losesDigest(r *repository, digest string) bool {
	return c.lost != nil && slices.ContainsFunc(c.view(r).live(), func(t storedTag) bool {
		return t.manifest != nil && t.manifest.digest == digest && c.losesTag(r, t.name)
	})
}

// StaleRegistry lets reads of the registry come from a copy of it that was made when the
// fault was set: what was pushed since is missing there, and what was deleted since is
// still there. Rails reads the copy as well, unless Path of the [Fault] lets only
// requests to the registry itself match. Whatever changes something reaches the real one.
// It does nothing to a real registry behind the server ([WithRealRegistry]).
func StaleRegistry() Effect {
	return &effect{bind: func(s *Server) Effect {
		s.mu.Lock()
		defer s.mu.Unlock()
		copies := map[string]*storedRepository{}
		for path, r := range s.state.located {
			copies[path] = r.stored.copy()
		}
		return changing(func(c *call) { c.stale = copies })
	}}
}

// view is the repository as the call sees it in the registry.
func (c *call) view(r *repository) *storedRepository {
	if c.stale != nil {
		return c.stale[r.path]
	}
	return r.stored
}

// graphqlFaults is what faults do to an operation. Of what happens to every n-th, 0 stands
// for none.
type graphqlFaults struct {
	countsTimeOut     bool
	countsThatWork    int
	mutationsTimeOut  bool
	mutationsThatWork int
	nullProjects      int
	nullRepositories  int
	nullRules         int
	nullEnvironments  int
	skipped           int
	unnamed           int
	extraNames        []string
}

// isNth says whether the i-th of some is an n-th.
func isNth(n, i int) bool { return n > 0 && (i+1)%n == 0 }

// inGraphQL is an effect that concerns GraphQL alone.
func inGraphQL(do func(*call) *answer) Effect {
	return &effect{do: do, concerns: func(c *call) bool { return c.operation != nil }}
}

// GraphQLErrors answers an operation 200 with errors and no data, and executes
// nothing.
func GraphQLErrors(messages ...string) Effect {
	return inGraphQL(func(*call) *answer { return graphqlFailure(http.StatusOK, messages...) })
}

// GraphQLTimeout lets an operation wait, and answers it with a status, 200 or
// 503, and an error that says that it took too long. It executes nothing.
func GraphQLTimeout(status int, after time.Duration) Effect {
	text := "Request timed out. Please try a less complex query or a smaller set of records."
	if status == http.StatusOK {
		text = "Timeout on Query"
	}
	return inGraphQL(func(c *call) *answer {
		c.wait(after)
		return graphqlFailure(status, text)
	})
}

// CountTimeouts lets the count of a project's repositories time out for every
// project on a page after the first so many: those nodes are null, and each has
// an error. A page that is no larger, or that does not ask for counts, is whole.
func CountTimeouts(after int) Effect {
	return changing(func(c *call) { c.graphql.countsTimeOut, c.graphql.countsThatWork = true, after })
}

// MutationTimeouts lets all mutations of a request time out after the first so
// many, which are done.
func MutationTimeouts(after int) Effect {
	return changing(func(c *call) { c.graphql.mutationsTimeOut, c.graphql.mutationsThatWork = true, after })
}

// NullProjects makes every n-th project of each page null, without an error.
func NullProjects(nth int) Effect { return changing(func(c *call) { c.graphql.nullProjects = nth }) }

// NullRepositories makes the connection of repositories null for every n-th
// project of each page, without an error.
func NullRepositories(nth int) Effect {
	return changing(func(c *call) { c.graphql.nullRepositories = nth })
}

// NullRules makes the connection of rules for protected tags null for every n-th project of each
// page, without an error.
func NullRules(nth int) Effect { return changing(func(c *call) { c.graphql.nullRules = nth }) }

// NullEnvironments makes every n-th environment of each page null, without an error.
func NullEnvironments(nth int) Effect {
	return changing(func(c *call) { c.graphql.nullEnvironments = nth })
}

// SkipDeletions skips every n-th tag of each mutation: it is neither deleted
// nor named as deleted, and there is no error.
func SkipDeletions(nth int) Effect { return changing(func(c *call) { c.graphql.skipped = nth }) }

// UnnamedDeletions deletes every n-th tag of each mutation without saying so.
func UnnamedDeletions(nth int) Effect { return changing(func(c *call) { c.graphql.unnamed = nth }) }

// ExtraDeletedNames makes each mutation say that it deleted further tags, which it
// was not asked to and did not.
func ExtraDeletedNames(names ...string) Effect {
	return changing(func(c *call) { c.graphql.extraNames = names })
}
