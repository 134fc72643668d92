package gitlabtest

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
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
	typeCacheConfig    = "application/vnd.buildkit.cacheconfig.v0"
	typeOCIIndex       = "application/vnd.oci.image.index.v1+json"
)

// registry holds the manifests and blobs of the container registry. It knows nothing of
// Rails. They are shared by all repositories, which saves memory and does not show
// from outside. The server locks it.
type registry struct {
	manifests map[string]*manifest  // by digest
	blobs     map[string][]byte     // by digest
	dates     map[string]*time.Time // in configs that were read, by digest; nil where there is none
	made      map[pushed]*manifest  // for tags of a world; nil where a tag has none
	compare   func(a, b string) int // the order of tags
}

// document is a manifest or an index.
type document struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	ArtifactType  string       `json:"artifactType,omitempty"`
	Config        *descriptor  `json:"config,omitempty"`
	Layers        []descriptor `json:"layers,omitempty"`
	Manifests     []descriptor `json:"manifests,omitempty"`
}

// descriptor refers to a manifest or a blob.
type descriptor struct {
	MediaType    string            `json:"mediaType"`
	ArtifactType string            `json:"artifactType,omitempty"`
	Digest       string            `json:"digest"`
	Size         int64             `json:"size"`
	Annotations  map[string]string `json:"annotations,omitempty"`
	Platform     *platform         `json:"platform,omitempty"`
}

type platform struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
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

func newRegistry(regime Regime) *registry {
	compare := strings.Compare
	if regime == Database {
		compare = collate
	}
	return &registry{
		compare: compare, manifests: map[string]*manifest{}, blobs: map[string][]byte{},
		dates: map[string]*time.Time{}, made: map[pushed]*manifest{},
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
	var d document
	if err := json.Unmarshal(body, &d); err != nil {
		return nil, err
	}
	m := &manifest{digest: digestOf(body), mediaType: d.MediaType, body: body, layers: d.Layers, children: d.Manifests}
	if d.Config != nil {
		m.config = *d.Config
	}
	return m, nil
}

// asListed returns the media type and the config that a registry with a database lists a manifest
// with: it keeps a build cache that was exported as an index as an image.
func (m *manifest) asListed() (mediaType, configDigest string) {
	for _, child := range m.children {
		if child.MediaType == typeCacheConfig {
			return typeOCIManifest, child.Digest
		}
	}
	return m.mediaType, m.config.Digest
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

// negotiate returns what the registry sends to a client that accepts some media types, or
// why it sends nothing: of an OCI document whose type is not among them. Of a Docker list
// that is asked for by its tag it sends the linux/amd64 child; a Docker manifest always.
func (g *registry) negotiate(m *manifest, byTag bool, accept []string) (served *manifest, why string) {
	switch {
	case slices.Contains(accept, m.mediaType):
		return m, ""
	case m.mediaType == typeOCIManifest:
		return nil, "OCI manifest found, but accept header does not support OCI manifests"
	case m.mediaType == typeOCIIndex:
		return nil, "OCI index found, but accept header does not support OCI indexes"
	case m.mediaType != typeDockerList || !byTag:
		return m, ""
	}
	for _, d := range m.children {
		if child := g.manifests[d.Digest]; child != nil && d.Platform != nil && *d.Platform == (platform{"amd64", "linux"}) {
			return child, ""
		}
	}
	return nil, "manifest unknown"
}

// size is the sum of what a manifest's layers, or an index' children, weigh.
func (m *manifest) size() int64 {
	var sum int64
	for _, d := range slices.Concat(m.layers, m.children) {
		sum += d.Size
	}
	return sum
}

// collate orders names as a database does whose collation is that of a language: letters
// and digits count first, whatever their case, and only then small letters come before
// capitals, and the rest counts: 1 10 2 a A a-b.
func collate(a, b string) int {
	i, j, byCase := 0, 0, 0
	for {
		for i < len(a) && !isAlphanumeric(a[i]) {
			i++
		}
		for j < len(b) && !isAlphanumeric(b[j]) {
			j++
		}
		if i == len(a) || j == len(b) {
			break
		}
		if x, y := lower(a[i]), lower(b[j]); x != y {
			return cmp.Compare(x, y)
		}
		byCase = cmp.Or(byCase, cmp.Compare(b[j], a[i])) // small letters have the higher bytes
		i, j = i+1, j+1
	}
	return cmp.Or(cmp.Compare(len(a)-i, len(b)-j), byCase, strings.Compare(a, b))
}

func isAlphanumeric(c byte) bool { return '0' <= c && c <= '9' || 'a' <= lower(c) && lower(c) <= 'z' }

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c - 'A' + 'a'
	}
	return c
}

// storedRepository holds the tags of one repository in the order of their
// names. A removed tag stays in place as a tombstone until the next listing:
// deleting is cheap, and so is every page of a listing.
type storedRepository struct {
	tags    []storedTag
	dead    int                   // tombstones in tags
	compare func(a, b string) int // of names
	// digests are those of the manifests and blobs that were ever here and were not collected;
	// those of tags are among them once it is complete.
	digests  map[string]bool
	complete bool
	// untagged is when manifests lost a tag last, Unix nanoseconds; they may have others.
	untagged map[*manifest]int64
	reviewed time.Time // when what is due was last collected
}

// storedTag is kept small: there are millions of them. Kind and verdict are what tests
// want to know of it, and no registry knows.
type storedTag struct {
	name     string
	manifest *manifest // nil: the manifest is gone
	created  int64     // when the tag was first pushed, Unix nanoseconds
	pushed   int64     // when it was last pushed
	kind     uint8
	verdict  verdict
	removed  bool
}

func unixTime(nanoseconds int64) time.Time { return time.Unix(0, nanoseconds).UTC() }

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
	i := sort.Search(len(r.tags), func(i int) bool { return r.compare(r.tags[i].name, name) >= 0 })
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
		if r.tags[i].manifest != t.manifest {
			r.lost(r.tags[i].manifest, t.pushed)
		}
		t.created = r.tags[i].created
		r.tags[i] = t
	}
}

// remove deletes a tag at a time and returns what it was.
func (r *storedRepository) remove(name string, at time.Time) (storedTag, bool) {
	t, ok := r.find(name)
	if !ok {
		return storedTag{}, false
	}
	was := *t
	r.add(t.manifest)
	r.lost(t.manifest, at.UnixNano())
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
	r.addParts(m)
}

// addParts notes all that a manifest refers to.
func (r *storedRepository) addParts(m *manifest) {
	for _, part := range m.parts {
		r.add(part)
	}
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
	return &storedRepository{compare: r.compare, tags: slices.Clone(r.live()), digests: maps.Clone(r.digests), complete: r.complete}
}
