package gitlabtest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"sort"
	"strings"
	"time"
)

// Media types of the manifests that the store tells apart.
const (
	typeDockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	typeDockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
	typeOCIManifest    = "application/vnd.oci.image.manifest.v1+json"
	typeOCIIndex       = "application/vnd.oci.image.index.v1+json"
)

// errManifestUnknown is the registry's MANIFEST_UNKNOWN.
var errManifestUnknown = errors.New("manifest unknown")

// registry is the container registry: repositories with their tags, and the
// manifests and blobs that they refer to. It knows nothing of Rails. Manifests
// and blobs are shared by all repositories, which spares memory and is visible
// to nobody. Its user locks it.
type registry struct {
	repositories map[string]*storedRepository // by path
	manifests    map[string]*manifest         // by digest
	blobs        map[string][]byte            // by digest
}

// descriptor refers to a manifest or a blob.
type descriptor struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
	Platform  *struct {
		Architecture string `json:"architecture"`
		OS           string `json:"os"`
	} `json:"platform,omitempty"`
}

// manifest is a manifest or an index as it was pushed.
type manifest struct {
	digest    string
	mediaType string
	body      []byte
	config    descriptor
	layers    []descriptor
	children  []descriptor
}

func newRegistry() *registry {
	return &registry{
		repositories: map[string]*storedRepository{},
		manifests:    map[string]*manifest{},
		blobs:        map[string][]byte{},
	}
}

// digestOf returns the digest of a manifest or a blob.
func digestOf(body []byte) string {
	sum := sha256.Sum256(body)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// putBlob stores a blob and returns its digest.
func (g *registry) putBlob(body []byte) string {
	digest := digestOf(body)
	g.blobs[digest] = body
	return digest
}

// putManifest stores a manifest; the same bytes are stored once. It panics on
// a document that is no manifest, since all of them come from this package.
func (g *registry) putManifest(body []byte) *manifest {
	digest := digestOf(body)
	if m, ok := g.manifests[digest]; ok {
		return m
	}
	var doc struct {
		MediaType string       `json:"mediaType"`
		Config    descriptor   `json:"config"`
		Layers    []descriptor `json:"layers"`
		Manifests []descriptor `json:"manifests"`
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		panic("gitlabtest: not a manifest: " + err.Error())
	}
	m := &manifest{
		digest: digest, mediaType: doc.MediaType, body: body,
		config: doc.Config, layers: doc.Layers, children: doc.Manifests,
	}
	g.manifests[digest] = m
	return m
}

// resolve answers a request for a tag's manifest by somebody who accepts the
// given media types. An index that is not accepted is no manifest at all; of a
// Docker list the registry hands out the linux/amd64 child in its stead.
func (g *registry) resolve(repository, tag string, accept ...string) (*manifest, error) {
	repo := g.repositories[repository]
	if repo == nil {
		return nil, errManifestUnknown
	}
	entry, ok := repo.find(tag)
	if !ok || entry.manifest == nil {
		return nil, errManifestUnknown
	}
	m := entry.manifest
	if !slices.Contains(accept, m.mediaType) && m.mediaType == typeDockerList {
		m = g.child(m, "linux", "amd64")
	}
	if m == nil || !slices.Contains(accept, m.mediaType) {
		return nil, errManifestUnknown
	}
	return m, nil
}

// child returns the manifest of an index for a platform, nil if there is none.
func (g *registry) child(index *manifest, os, architecture string) *manifest {
	for _, d := range index.children {
		if d.Platform != nil && d.Platform.OS == os && d.Platform.Architecture == architecture {
			return g.manifests[d.Digest]
		}
	}
	return nil
}

// size is the sum of what a manifest's layers, or an index' children, weigh.
func (m *manifest) size() int64 {
	var sum int64
	for _, d := range m.layers {
		sum += d.Size
	}
	for _, d := range m.children {
		sum += d.Size
	}
	return sum
}

// platforms counts the children of an index that can be run.
func (m *manifest) platforms() int {
	n := 0
	for _, d := range m.children {
		if d.Platform != nil && d.Platform.OS != "unknown" {
			n++
		}
	}
	return n
}

// storedRepository holds the tags of one repository in the order of their
// names. A removed tag stays in place as a tombstone until the next listing:
// deleting is cheap, and so is every page of a listing.
type storedRepository struct {
	tags []storedTag
	dead int // tombstones in tags
}

// storedTag is kept small: there are millions of them.
type storedTag struct {
	name     string
	manifest *manifest // nil: the manifest is gone
	created  int64     // when the tag was first pushed, Unix nanoseconds
	note     note
	removed  bool
}

// note is what the tests want to know of a tag and no registry ever does.
type note struct {
	kind    uint8
	verdict verdict
}

func (t *storedTag) pushed() time.Time { return time.Unix(0, t.created).UTC() }

// repository returns the repository of a path; it comes into being when it is
// asked for.
func (g *registry) repository(path string) *storedRepository {
	repo := g.repositories[path]
	if repo == nil {
		repo = &storedRepository{}
		g.repositories[path] = repo
	}
	return repo
}

// load sets the tags of a new repository, given in any order.
func (r *storedRepository) load(tags []storedTag) {
	slices.SortFunc(tags, func(a, b storedTag) int { return strings.Compare(a.name, b.name) })
	r.tags, r.dead = tags, 0
}

// live returns the tags in the order of their names. The slice is valid as
// long as the registry is locked.
func (r *storedRepository) live() []storedTag {
	if r.dead > 0 {
		r.tags = slices.DeleteFunc(r.tags, func(t storedTag) bool { return t.removed })
		r.dead = 0
	}
	return r.tags
}

// search returns the index of the first tag whose name is not below name.
func (r *storedRepository) search(name string) (int, bool) {
	i := sort.Search(len(r.tags), func(i int) bool { return r.tags[i].name >= name })
	return i, i < len(r.tags) && r.tags[i].name == name
}

func (r *storedRepository) find(name string) (*storedTag, bool) {
	i, ok := r.search(name)
	if !ok || r.tags[i].removed {
		return nil, false
	}
	return &r.tags[i], true
}

// push sets a tag. The date of a tag that is there already does not move.
func (r *storedRepository) push(t storedTag) {
	i, there := r.search(t.name)
	switch {
	case !there:
		r.tags = slices.Insert(r.tags, i, t)
	case r.tags[i].removed:
		r.dead--
		r.tags[i] = t
	default:
		t.created = r.tags[i].created
		r.tags[i] = t
	}
}

// remove deletes a tag and returns what it was.
func (r *storedRepository) remove(name string) (storedTag, bool) {
	t, ok := r.find(name)
	if !ok {
		return storedTag{}, false
	}
	was := *t
	t.removed, t.manifest = true, nil
	r.dead++
	return was, true
}
