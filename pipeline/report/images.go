package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// Images that can be pulled are never called dead. They are counted apart: those that go, and those
// that GitLab cannot date and that stay as no setting names their kind.

// IsUndatableImage reports whether a kind is that of images which can be pulled and which GitLab
// cannot date where the registry has no metadata database.
func IsUndatableImage(kind manifest.Kind) bool {
	return kind == manifest.KindAttestedImage || kind == manifest.KindMultiArch
}

// StaysUnnamed reports whether a reason is that of tags that stay as no rule deletes them.
func StaysUnnamed(reason policy.Reason) bool { return reason == policy.NoRule || reason == multiArch }

// IsImage reports whether a kind is that of images which can be pulled.
func IsImage(kind string) bool {
	return IsUndatableImage(manifest.Kind(kind)) || manifest.Kind(kind) == manifest.KindImage
}

// An Image is a tag that can be pulled.
type Image struct {
	Project      string    `json:"project"`
	Repository   string    `json:"repository"` // full path
	RepositoryID int64     `json:"repository_id"`
	Tag          string    `json:"tag"`
	Digest       string    `json:"digest,omitempty"` // of its manifest, if known
	Kind         string    `json:"kind"`
	Bytes        int64     `json:"bytes,omitempty"` // what is pulled references; 0 if unknown
	Made         time.Time `json:"made,omitzero"`   // zero if unknown
}

// Images measure tags that can be pulled.
type Images struct {
	Measure
	Kinds map[string]int `json:"kinds,omitempty"`
	// Largest are the few to name, the largest first.
	Largest []Image `json:"largest,omitempty"`
}

// namedImages is how many images are named.
const namedImages = 5

// add measures an image, whose manifest another may have had.
func (s *Images) add(image Image, again bool) {
	if s.Kinds == nil {
		s.Kinds = make(map[string]int)
	}
	s.Kinds[image.Kind]++
	s.Measure.add(image.Bytes, image.Made, again)
	s.name(image)
}

// merge adds what others count.
func (s *Images) merge(o Images) {
	for kind, n := range o.Kinds {
		if s.Kinds == nil {
			s.Kinds = make(map[string]int)
		}
		s.Kinds[kind] += n
	}
	s.Measure.merge(o.Measure)
	s.name(o.Largest...)
}

// name keeps the largest of the images; of equals the oldest.
func (s *Images) name(images ...Image) {
	all := slices.Concat(s.Largest, images)
	slices.SortStableFunc(all, func(a, b Image) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), a.Made.Compare(b.Made),
			strings.Compare(a.Repository, b.Repository), strings.Compare(a.Tag, b.Tag))
	})
	s.Largest = all[:min(namedImages, len(all))]
	if len(s.Largest) == 0 {
		s.Largest = nil
	}
}

// StayingImages are those that GitLab cannot date, that are older than IMAGE_AGE, and that stay only
// as DELETE_KINDS does not name their kind. A run that deletes does not look for them: their age costs
// two requests each.
type StayingImages struct {
	Images
	OlderThan Seconds `json:"older_than_s"` // IMAGE_AGE; 0 where the rules do not ask for it
	// AgeUnknown are images that stay, too, and whose age could not be read.
	AgeUnknown int `json:"age_unknown"`

	counted manifests
}

// add counts an image that stays.
func (s *StayingImages) add(e ImageStays) {
	s.OlderThan = max(s.OlderThan, Seconds(e.ImageAge))
	if e.AgeUnread {
		s.AgeUnknown++
		return
	}
	s.Images.add(e.Image, e.Bytes > 0 && s.counted.again("", e.Digest))
}

// merge adds those of another shard.
func (s *StayingImages) merge(o StayingImages) {
	s.Images.merge(o.Images)
	s.OlderThan = max(s.OlderThan, o.OlderThan)
	s.AgeUnknown += o.AgeUnknown
}

// kindNames are what images of a kind are called, in the order in which they are counted.
var kindNames = []struct{ kind, words string }{
	{string(manifest.KindAttestedImage), "attested image"},
	{string(manifest.KindMultiArch), "multi-arch image"},
	{string(manifest.KindImage), "plain image"},
}

// kindWords says how many images there are of each kind.
func (s *Images) kindWords() string {
	var words []string
	for _, name := range kindNames {
		if n := s.Kinds[name.kind]; n > 0 {
			words = append(words, number(n)+" "+name.words+plural(n))
		}
	}
	return strings.Join(words, ", ")
}

// lines name the largest of the images, each with its age and size, and say how many more there are.
func (s *Images) lines(began time.Time, links Links) []string {
	rows := &table{right: []bool{false, true, true}}
	for _, image := range s.Largest {
		size := ""
		if image.Bytes > 0 {
			size = Size(image.Bytes)
		}
		rows.row(image.name(), ageAt(began, image.Made), size, links.Repository(image.Project, image.RepositoryID))
	}
	if n := s.Tags - len(s.Largest); n > 0 && len(s.Largest) > 0 {
		rows.row("and " + number(n) + " more")
	}
	return rows.lines(lineWidth)
}

// name is the image's for people.
func (i Image) name() string { return shortPath(i.Repository) + ":" + shortPath(i.Tag) }

// headline says in a sentence how many images stay, and how large they are; nothing where none does.
func (s *StayingImages) headline() string {
	if s.Tags == 0 {
		return ""
	}
	are := "are"
	if s.Tags == 1 {
		are = "is"
	}
	words := number(s.Tags) + " image" + plural(s.Tags)
	if size := s.Size(); size != "" {
		words += ", " + size + ","
	}
	words += " that GitLab cannot date"
	if age := time.Duration(s.OlderThan); age > 0 {
		words += " and that " + are + " older than " + settingWords(age) + ","
	}
	return words + " " + are + " kept."
}

// choice says what becomes of the images that stay, and how to choose otherwise, by the whole value of
// DELETE_KINDS, of which the one that was given is a part; nothing where none does.
func (s *StayingImages) choice(given string) []string {
	var kinds []string
	for _, name := range kindNames {
		if s.Kinds[name.kind] > 0 {
			kinds = append(kinds, name.kind)
		}
	}
	if s.Tags == 0 {
		return nil
	}
	return []string{
		"They can be pulled, and none of GitLab's cleanup policies will ever delete them.",
		"To delete such images, too:",
		"  DELETE_KINDS=" + strings.Join(append(kindsNamed(given), kinds...), ","),
	}
}

// kindsNamed returns the kinds that DELETE_KINDS names, as it was given or by default.
func kindsNamed(given string) []string {
	return strings.FieldsFunc(cmp.Or(given, "cache-index,missing-manifest"), func(r rune) bool { return r == ',' || r == ' ' })
}

// unread says how many more images stay whose age is not known; nothing where that is none.
func (s *StayingImages) unread() string {
	if s.AgeUnknown == 0 {
		return ""
	}
	return "Images that GitLab cannot date, that are kept, and whose age could not be read: " + number(s.AgeUnknown) + "."
}

// hint says in lines what stays, and how to choose otherwise.
func (s *StayingImages) hint(began time.Time, links Links, kindsGiven string) (lines []string) {
	if s.Tags > 0 {
		lines = append(lines, s.headline())
		lines = append(lines, s.lines(began, links)...)
		lines = append(lines, s.choice(kindsGiven)...)
	}
	if s.AgeUnknown > 0 {
		lines = append(lines, s.unread())
	}
	return lines
}

// settingWords says the age that a setting names, in days where it is one of days.
func settingWords(age time.Duration) string {
	const day = 24 * time.Hour
	if n := int(age / day); n > 0 && age%day == 0 {
		return fmt.Sprintf("%d day%s", n, plural(n))
	}
	return age.String()
}

// ageAt says how old something was when a run began; nothing where one of the two is not known.
func ageAt(began, made time.Time) string {
	if began.IsZero() || made.IsZero() {
		return ""
	}
	return ageWords(began.Sub(made))
}

// ageWords says an age in the largest unit of which there are two.
func ageWords(age time.Duration) string {
	const day = 24 * time.Hour
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{365 * day, "year"}, {365 * day / 12, "month"}, {day, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		n := int(age / unit.length)
		if n >= 2 {
			return fmt.Sprintf("%d %s%s", n, unit.name, plural(n))
		}
	}
	return "under two minutes"
}
