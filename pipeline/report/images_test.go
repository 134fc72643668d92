package report

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
)

// imagesOfAll are decisions on images that go and of those that stay, with a dead tag.
func imagesOfAll(outcome Outcome) []Event {
	tag := func(name string, kind manifest.Kind, bytes int64, months int) Event {
		d := dead("g/p/app", kind, bytes, outcome)
		d.Project, d.Tag, d.Digest, d.Made = "g/p", name, name, firstStart.AddDate(0, -months, 0)
		return d
	}
	all := []Event{
		RegimeFound{registry.Legacy},
		tag("cache", manifest.KindCacheIndex, 1<<30, 50),
		tag("trial", manifest.KindAttestedImage, 39<<20, 4),
		tag("login", manifest.KindAttestedImage, 0, 2),
		tag("several", manifest.KindMultiArch, 6<<20, 3),
	}
	for i := range 7 {
		all = append(all, ImageStays{ImageAge: 30 * 24 * time.Hour, Image: Image{Project: "g/p", Repository: "g/p/app", Tag: fmt.Sprint("stays-", i),
			Kind: string(manifest.KindAttestedImage), Bytes: 7 << 30, Made: firstStart.AddDate(0, 0, -31-i)}})
	}
	return append(all, ImageStays{AgeUnread: true})
}

// TestTextNamesImagesApart from dead tags: how many, which, how old and how large, and of those that
// stay, too, with the word that is missing.
func TestTextNamesImagesApart(t *testing.T) {
	summary := countEvents(t, true, imagesOfAll(Marked)...)
	summary.Started, summary.Rules = firstStart, byDefault(t)
	text := textOf(t, summary)
	for _, want := range []string{
		"\n  4 of 4 tags would be deleted (100 %), 1.0 GiB or more, in 1 of 0 projects; 3\n  of them can still be pulled\n", `
! Images that can still be pulled would be deleted: 2 attested images, 1
  multi-arch image.
    g/p/app:trial    3 months  39.0 MiB
    g/p/app:several  2 months   6.0 MiB
    g/p/app:login     59 days
  Those that are to be kept belong in PROTECTED_TAGS, PROTECTED_TAGS_REGEX or
  IN_USE. No such image is deleted whose kind is not in DELETE_KINDS.
`, `
- 7 images, 49.0 GiB, that GitLab cannot date and that are older than 30 days,
  are kept.
    g/p/app:stays-6  37 days  7.0 GiB
    g/p/app:stays-5  36 days  7.0 GiB
    g/p/app:stays-4  35 days  7.0 GiB
    g/p/app:stays-3  34 days  7.0 GiB
    g/p/app:stays-2  33 days  7.0 GiB
    and 2 more
  They can be pulled, and none of GitLab's cleanup policies will ever delete
  them. To delete such images, too:
    DELETE_KINDS=cache-index,missing-manifest,attested-image
  Images that GitLab cannot date, that are kept, and whose age could not be
  read: 1.
`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no\n%s\nin\n%s", want, text)
		}
	}
	if strings.Contains(strings.ToLower(text), "dead") {
		t.Errorf("what can be pulled is called dead:\n%s", text)
	}

	summary = countEvents(t, false, imagesOfAll(Deleted)[:5]...)
	summary.Started = firstStart
	text = textOf(t, summary)
	for _, want := range []string{"; 3 of them\n  could be pulled\n", "\n! Images that could be pulled were deleted: 2 attested images, 1 multi-arch\n  image.\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// TestPageNamesImagesApart says the same on the page.
func TestPageNamesImagesApart(t *testing.T) {
	run := newPageRun(true)
	run.Started = firstStart
	run.tell(t, imagesOfAll(Marked)...)
	data := dataOf(t, run.page(t))
	if len(data.Notices) < 1 || !strings.HasPrefix(string(data.Notices[1].Text), "Images that can still be pulled would be deleted: 2 attested images, 1 multi-arch image.") || !strings.Contains(string(data.Notices[1].Fixed[0]), "g/p/app:trial") {
		t.Errorf("of images that would be deleted it says %v", data.Notices)
	}
	if len(data.Stay) != 1 || len(data.Stay[0].Rows) != 5 || data.Stay[0].Rows[0] != [4]shown{"g/p/app:stays-6", "attested image", "37 days", "7.0 GiB"} ||
		!strings.HasPrefix(string(data.Stay[0].Text), "7 images, 49.0 GiB, that GitLab cannot date and that are older than 30 days, are kept.") {
		t.Errorf("of images that are kept it says %v", data.Stay)
	}
	run = newPageRun(true)
	run.tell(t, dead("g/p/app", manifest.KindCacheIndex, 1, Marked))
	if data := dataOf(t, run.page(t)); len(data.Stay) > 0 || len(data.Notices) != 1 {
		t.Errorf("of images that there are none of it says %v and %v", data.Stay, data.Notices)
	}
}

// TestImagesAreNamedInOneOrder, in whichever they come, and few of them.
func TestImagesAreNamedInOneOrder(t *testing.T) {
	var all []Image
	for i := range 20 {
		all = append(all, Image{Repository: fmt.Sprint("g/p/", i%3), Tag: fmt.Sprint(i), Kind: "image", Bytes: int64(i % 4), Made: firstStart.AddDate(0, 0, i%2)})
	}
	var there, back, merged, half Images
	for i := range all {
		there.add(all[i], false)
		back.add(all[len(all)-1-i], false)
		if i%2 == 0 {
			merged.add(all[i], false)
		} else {
			half.add(all[i], false)
		}
	}
	merged.merge(half)
	if diff := cmp.Diff(there, back) + cmp.Diff(there, merged); diff != "" || len(there.Largest) != namedImages || there.Tags != 20 || there.Largest[0].Bytes != 3 {
		t.Errorf("%+v\n%s", there, diff)
	}
}

func TestAges(t *testing.T) {
	const day = 24 * time.Hour
	for age, want := range map[time.Duration]string{
		-day: "under two minutes", 119 * time.Second: "under two minutes", 2 * time.Minute: "2 minutes", 119 * time.Minute: "119 minutes", 47 * time.Hour: "47 hours",
		2 * day: "2 days", 60 * day: "60 days", 61 * day: "2 months", 729 * day: "23 months", 730 * day: "2 years", 1400 * day: "3 years",
	} {
		if got := ageWords(age); got != want {
			t.Errorf("%v shows as %q, want %q", age, got, want)
		}
	}
	for age, want := range map[time.Duration]string{day: "1 day", 90 * day: "90 days", 36 * time.Hour: "36h0m0s", time.Minute: "1m0s"} {
		if got := settingWords(age); got != want {
			t.Errorf("%v shows as %q, want %q", age, got, want)
		}
	}
}
