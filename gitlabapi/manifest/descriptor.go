package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// maxDescriptors bounds the layers of a manifest and the children of an index.
const maxDescriptors = 10_000

// annotationCreated is BuildKit's: when it made a layer, in the form of RFC 3339.
const annotationCreated = "buildkit/createdat"

// IsDigest reports whether a text is a digest with one of the algorithms that the image
// specification of OCI registers.
func IsDigest(text string) bool {
	algorithm, digits, _ := strings.Cut(text, ":")
	switch {
	case algorithm == "sha256" && len(digits) == 64, algorithm == "sha512" && len(digits) == 128:
	default:
		return false
	}
	for i := range len(digits) {
		if c := digits[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// A platform is what an image runs on; further details, such as a variant, do not
// matter here.
type platform struct{ os, architecture string }

// descriptor is how manifests speak of other documents.
type descriptor struct {
	mediaType string
	digest    string
	size      int64
	platform  *platform // nil when not said
	created   time.Time // by BuildKit's word; zero when not said
	reference string    // by the annotation; "" when not said
	refersTo  string
}

// descriptorsOf reads a list of descriptors; a list that is not there is an error, an
// empty one is not.
func descriptorsOf(value any) ([]descriptor, error) {
	list, ok := value.([]any)
	switch {
	case !ok:
		return nil, errors.New("they are no list")
	case len(list) > maxDescriptors:
		return nil, fmt.Errorf("there are more than %d", maxDescriptors)
	}
	all := make([]descriptor, len(list))
	for i := range list {
		var err error
		if all[i], err = descriptorOf(list[i]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func descriptorOf(value any) (descriptor, error) {
	object, ok := value.(map[string]any)
	if !ok {
		return descriptor{}, errors.New("a descriptor is no object")
	}
	var d descriptor
	d.mediaType, _ = object["mediaType"].(string)
	d.digest, _ = object["digest"].(string)
	switch size, ok := integer(object["size"]); {
	case d.mediaType == "":
		return d, errors.New("a descriptor has no media type")
	case !IsDigest(d.digest):
		return d, errors.New("a descriptor has no digest")
	case !ok || size < 0:
		return d, errors.New("a descriptor has no size")
	default:
		d.size = size
	}
	if err := d.setPlatform(object["platform"]); err != nil {
		return d, err
	}
	return d, d.setAnnotations(object["annotations"])
}

func (d *descriptor) setPlatform(value any) error {
	if value == nil {
		return nil
	}
	object, _ := value.(map[string]any)
	os, _ := object["os"].(string)
	architecture, _ := object["architecture"].(string)
	if os == "" || architecture == "" {
		return errors.New("a platform is without its system or its architecture")
	}
	d.platform = &platform{os, architecture}
	return nil
}

// setAnnotations reads the annotations that matter. A date that cannot be read is an
// error, as its cache may be younger than the others say.
func (d *descriptor) setAnnotations(value any) error {
	if value == nil {
		return nil
	}
	object, ok := value.(map[string]any)
	if !ok {
		return errors.New("annotations are no object")
	}
	for name, value := range object {
		text, ok := value.(string)
		if !ok {
			return errors.New("an annotation is no text")
		}
		switch name {
		case annotationReferenceType:
			d.reference = text
		case annotationReferenceDigest:
			d.refersTo = text
		case annotationCreated:
			created, err := time.Parse(time.RFC3339Nano, text)
			if err != nil {
				return errors.New("a date of making cannot be read")
			}
			d.created = created
		}
	}
	return nil
}

// sizeOf returns the bytes of what descriptors stand for, 0 for a sum that no registry
// holds.
func sizeOf(all []descriptor) int64 {
	var sum int64
	for _, d := range all {
		if sum += d.size; sum < 0 {
			return 0
		}
	}
	return sum
}

// integer returns a number that is written as an integer.
func integer(value any) (int64, bool) {
	number, _ := value.(json.Number)
	n, err := strconv.ParseInt(string(number), 10, 64)
	return n, err == nil
}
