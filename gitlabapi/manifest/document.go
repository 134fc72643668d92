package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// The most that a document of a registry may hold. A BuildKit cache has a few thousand layers
// at worst; what goes beyond these figures is not worth the memory that it takes.
const (
	MaxBytes       = 4 << 20 // what registries themselves take for a manifest
	maxObjects     = 100_000
	maxDescriptors = 10_000 // layers of a manifest, or children of an index
)

// read reads a JSON document strictly: it is UTF-8, no name comes twice in one object, names
// count in the case they are written in, and nothing follows the document. Registries and Docker
// take names in any case: a document that says something else to them is refused. Two readers
// that disagree about a document would disagree about whether it may be deleted.
func read[T interface{ ambiguous() bool }](text []byte) (T, error) {
	var value, none T
	switch {
	case len(text) > MaxBytes:
		return none, fmt.Errorf("it is larger than %d MiB", MaxBytes>>20)
	case bytes.Count(text, []byte("{")) > maxObjects:
		return none, fmt.Errorf("it has more than %d objects", maxObjects)
	case json.Unmarshal(text, &value) != nil:
		return none, errors.New("it is not valid JSON, or not of the form that it should have")
	case value.ambiguous():
		return none, errors.New("a name is written in an unusual case")
	}
	return value, nil
}

// others are the members of an object that its struct does not name.
type others map[string]jsontext.Value

// name reports whether one of the members has one of these names in another case.
func (o others) name(known ...string) bool {
	for other := range o {
		if slices.ContainsFunc(known, func(name string) bool { return strings.EqualFold(name, other) }) {
			return true
		}
	}
	return false
}

// A document is a manifest or an index.
type document struct {
	SchemaVersion int64           `json:"schemaVersion"`
	MediaType     *string         `json:"mediaType"`
	ArtifactType  *jsontext.Value `json:"artifactType"`
	Subject       *jsontext.Value `json:"subject"`
	Config        *descriptor     `json:"config"`
	Layers        *[]descriptor   `json:"layers"`
	Manifests     *[]descriptor   `json:"manifests"`
	Others        others          `json:",embed"`
}

func (d document) ambiguous() bool {
	descriptors := func(list *[]descriptor) bool { return list != nil && slices.ContainsFunc(*list, descriptor.ambiguous) }
	return d.Others.name("schemaVersion", "mediaType", "artifactType", "subject", "config", "layers", "manifests") ||
		d.Config != nil && d.Config.ambiguous() || descriptors(d.Layers) || descriptors(d.Manifests)
}

// A descriptor is how manifests speak of other documents.
type descriptor struct {
	MediaType    string            `json:"mediaType"`
	ArtifactType string            `json:"artifactType"`
	Digest       string            `json:"digest"`
	Size         *int64            `json:"size"`
	Platform     *platform         `json:"platform"`
	Annotations  map[string]string `json:"annotations"`
	Others       others            `json:",embed"`

	created time.Time // by the annotation; zero when not said
}

func (d descriptor) ambiguous() bool {
	return d.Others.name("mediaType", "artifactType", "digest", "size", "platform", "annotations") ||
		d.Platform != nil && d.Platform.Others.name("os", "architecture")
}

// A platform is what an image runs on; further details, such as a variant, do not matter here.
type platform struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
	Others       others `json:",embed"`
}

// is reports whether a descriptor says this platform.
func (p *platform) is(os, architecture string) bool {
	return p != nil && p.OS == os && p.Architecture == architecture
}

// runsImages reports whether a platform is one on which images run. WebAssembly is none:
// such a module stands for no machine, and needs another runtime.
func (p *platform) runsImages() bool {
	return p != nil && p.OS != "" && p.OS != "unknown" && p.Architecture != "" && p.Architecture != "unknown" &&
		p.Architecture != "wasm"
}

// Annotations with which BuildKit marks the attestations in an index and which image they are
// about, and says when it made a layer, in the form of RFC 3339; and the artifact type that
// newer versions give an attestation besides.
const (
	annotationReferenceType   = "vnd.docker.reference.type"
	annotationReferenceDigest = "vnd.docker.reference.digest"
	annotationCreated         = "buildkit/createdat"

	attestationManifest = "attestation-manifest"
	typeAttestation     = "application/vnd.docker.attestation.manifest.v1+json"
)

// check completes a descriptor, and says what it lacks. A date that cannot be read is an error,
// as its cache may be younger than the others say.
func (d *descriptor) check() error {
	switch {
	case d.MediaType == "":
		return errors.New("a descriptor has no media type")
	case !IsDigest(d.Digest):
		return errors.New("a descriptor has no digest")
	case d.Size == nil || *d.Size < 0:
		return errors.New("a descriptor has no size")
	}
	if text, ok := d.Annotations[annotationCreated]; ok {
		var err error
		if d.created, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return errors.New("a creation date cannot be read")
		}
		if d.created.IsZero() {
			d.created = time.Unix(0, 0).UTC() // says as little of an age, and is not taken for none
		}
	}
	return nil
}

// isSpecial reports whether a descriptor says more than BuildKit says of a cache's layers.
func (d descriptor) isSpecial() bool { return d.Platform != nil || d.ArtifactType != "" }

// checkAll completes a list of descriptors. One that is null or left out has none, which some
// programs write for an empty one.
func checkAll(list *[]descriptor) ([]descriptor, error) {
	switch {
	case list == nil:
		return nil, nil
	case len(*list) > maxDescriptors:
		return nil, fmt.Errorf("there are more than %d", maxDescriptors)
	}
	for i := range *list {
		if err := (*list)[i].check(); err != nil {
			return nil, err
		}
	}
	return *list, nil
}

// sum returns the bytes of what descriptors stand for, 0 for a sum that no registry holds, and
// the latest time of making that they are annotated with.
func sum(all []descriptor) (size int64, newest time.Time) {
	for _, d := range all {
		if size >= 0 {
			size += *d.Size
		}
		if d.created.After(newest) {
			newest = d.created
		}
	}
	return max(size, 0), newest
}

var digestForm = regexp.MustCompile(`^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$`)

// IsDigest reports whether a text is a digest with one of the algorithms that the image
// specification of OCI registers.
func IsDigest(text string) bool { return digestForm.MatchString(text) }

// A config is that of an image, as far as it is read.
type config struct {
	Created *string `json:"created"`
	Others  others  `json:",embed"`
}

func (c config) ambiguous() bool { return c.Others.name("created") }

// Created reads the date out of the config of an image, and whether it has one: the zero time
// is a date like any other, that of images which are built to be reproducible; see [SaysAge].
func Created(text []byte) (created time.Time, dated bool, err error) {
	c, err := read[config](text)
	if err != nil || c.Created == nil {
		return time.Time{}, false, err
	}
	if created, err = time.Parse(time.RFC3339Nano, *c.Created); err != nil {
		return time.Time{}, false, errors.New("its date cannot be read")
	}
	return created, true, nil
}

// firstImages is when there were no images yet: Docker came out in March 2013.
var firstImages = time.Date(2013, time.January, 1, 0, 0, 0, 0, time.UTC)

// SaysAge reports whether a date of making says how old an image is. Programs that build the
// same bytes from the same source write a fixed date: that of the year 1, of 1970 or of 1980.
// An image with such a date may have been made a minute ago, and so may any that claims to be
// older than images are.
func SaysAge(created time.Time) bool { return !created.Before(firstImages) }

var namedAfterDigest = regexp.MustCompile(`^(?:sha256|sha512)-[0-9a-f]{64}`)

// NamesDigest reports whether a tag is named after the digest of a manifest, as those of
// signatures, SBOMs and lists of referrers are. A registry may take such a name for the digest
// itself: what is read or deleted by it may be the image.
func NamesDigest(tag string) bool { return namedAfterDigest.MatchString(tag) }
