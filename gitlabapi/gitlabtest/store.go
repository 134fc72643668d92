package gitlabtest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
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

// The registry's reasons for MANIFEST_UNKNOWN.
var (
	errManifestUnknown = errors.New("manifest unknown")
	errOCIManifest     = errors.New("OCI manifest found, but accept header does not support OCI manifests")
	errOCIIndex        = errors.New("OCI index found, but accept header does not support OCI indexes")
)

// registry is the container registry: repositories with their tags, and the
// manifests and blobs that they refer to. It knows nothing of Rails. Manifests
// and blobs are shared by all repositories, which spares memory and does not show
// from outside. The server locks it.
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
	parts     []*manifest // those of the children that are manifests
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
// a document that is no manifest: one that was sent is read before.
func (g *registry) putManifest(body []byte) *manifest {
	if m, ok := g.manifests[digestOf(body)]; ok {
		return m
	}
	m, err := readManifest(body)
	if err != nil {
		panic("gitlabtest: not a manifest: " + err.Error())
	}
	for _, d := range m.children {
		if part := g.manifests[d.Digest]; part != nil {
			m.parts = append(m.parts, part)
		}
	}
	g.manifests[m.digest] = m
	return m
}

func readManifest(body []byte) (*manifest, error) {
	var doc struct {
		MediaType string       `json:"mediaType"`
		Config    descriptor   `json:"config"`
		Layers    []descriptor `json:"layers"`
		Manifests []descriptor `json:"manifests"`
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, err
	}
	return &manifest{
		digest: digestOf(body), mediaType: doc.MediaType, body: body,
		config: doc.Config, layers: doc.Layers, children: doc.Manifests,
	}, nil
}

// references are the digests of everything that a manifest needs.
func (m *manifest) references() []string {
	var digests []string
	if m.config.Digest != "" {
		digests = append(digests, m.config.Digest)
	}
	for _, d := range slices.Concat(m.layers, m.children) {
		digests = append(digests, d.Digest)
	}
	return digests
}

// has says whether there is a manifest or blob of a digest.
func (g *registry) has(digest string) bool {
	_, blob := g.blobs[digest]
	return blob || g.manifests[digest] != nil
}

// negotiate returns what the registry sends to a client that accepts some media types.
// Of an OCI document whose type is not among them it sends nothing, of a Docker list that
// is asked for by its tag the linux/amd64 child; a Docker manifest it always sends.
func (g *registry) negotiate(m *manifest, byTag bool, accept []string) (*manifest, error) {
	if slices.Contains(accept, m.mediaType) {
		return m, nil
	}
	switch m.mediaType {
	case typeOCIManifest:
		return nil, errOCIManifest
	case typeOCIIndex:
		return nil, errOCIIndex
	}
	if m.mediaType == typeDockerList && byTag {
		m = g.child(m, "linux", "amd64")
	}
	if m == nil {
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
	// digests are those of the manifests and blobs that were ever here, for
	// none is collected; those of tags are among them once it is complete.
	digests  map[string]bool
	complete bool
}

// storedTag is kept small: there are millions of them.
type storedTag struct {
	name     string
	manifest *manifest // nil: the manifest is gone
	created  int64     // when the tag was first pushed, Unix nanoseconds
	pushed   int64     // when it was last pushed
	note     note
	removed  bool
}

// note is what tests want to know of a tag, and no registry knows.
type note struct {
	kind    uint8
	verdict verdict
}

func (t *storedTag) createdAt() time.Time { return time.Unix(0, t.created).UTC() }

func (t *storedTag) pushedAt() time.Time { return time.Unix(0, t.pushed).UTC() }

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

// push sets a tag. The date at which a tag that is there already was created
// does not move.
func (r *storedRepository) push(t storedTag) {
	r.add(t.manifest)
	i, there := r.search(t.name)
	switch {
	case !there:
		r.tags = slices.Insert(r.tags, i, t)
	case r.tags[i].removed:
		r.dead--
		r.tags[i] = t
	default:
		r.add(r.tags[i].manifest)
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
	r.add(t.manifest)
	t.removed, t.manifest = true, nil
	r.dead++
	return was, true
}

// add notes that a manifest is in the repository, with all it refers to.
func (r *storedRepository) add(m *manifest) {
	if m == nil || r.digests[m.digest] {
		return
	}
	if r.digests == nil {
		r.digests = map[string]bool{}
	}
	// Children come first: one that is noted already is noted with all it needs.
	for _, part := range m.parts {
		r.add(part)
	}
	r.digests[m.digest] = true
	for _, digest := range m.references() {
		r.digests[digest] = true
	}
}

// has says whether the repository has a manifest or a blob. It reads the tags when it is
// asked first: most repositories are never asked.
func (r *storedRepository) has(digest string) bool {
	if !r.complete {
		for i := range r.tags {
			r.add(r.tags[i].manifest)
		}
		r.complete = true
	}
	return r.digests[digest]
}

// copy returns the repository as it is now.
func (r *storedRepository) copy() *storedRepository {
	return &storedRepository{tags: slices.Clone(r.live()), digests: maps.Clone(r.digests), complete: r.complete}
}
