package report

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
	"gitlab.com/registry-gc/registry-gc/internal/printable"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// Shown is a text in which nothing hides once it is JSON for the page.
type shown string

// MarshalJSON implements [json.Marshaler].
func (t shown) MarshalJSON() ([]byte, error) { return json.Marshal(printable.Escape(string(t))) }

func allShown(texts []string) []shown {
	all := make([]shown, len(texts))
	for i, text := range texts {
		all[i] = shown(text)
	}
	return all
}

// A pageData is what the page's script draws beside the rows. It is in an element of the page: JSON's encoder
// escapes <, > and &, so that no text can end that element. A list that may be missing is left out where it is
// empty; the others are never null, which the script could not go through.
type pageData struct {
	Facts    []pageFact           `json:"facts"` // which run it is
	Links    []pageLink           `json:"links,omitempty"`
	Notices  []pageNotice         `json:"notices,omitempty"`
	Settings [][2]shown           `json:"settings,omitempty"`
	GitLab   string               `json:"gitlab,omitempty"` // address of the instance, without a slash at the end
	Began    int64                `json:"began"`            // in seconds; 0 where it is not known
	Outcomes map[Outcome]string   `json:"outcomes"`
	Reasons  []pageReason         `json:"reasons"`
	Kinds    map[string]kindWords `json:"kinds"`
	Stay     []pageImages         `json:"stay,omitempty"` // images
	Advice   []advice             `json:"advice,omitempty"`
	Collects []shown              `json:"collects"` // when disk space is free again
	Steps    []pageStep           `json:"steps,omitempty"`
	Effort   shown                `json:"effort"`
	Trend    *trend               `json:"trend,omitempty"`
}

// A pageFact says something of the run in a few words, and in its title what few ask for.
type pageFact struct {
	Text  shown `json:"text"`
	Title shown `json:"title,omitempty"`
}

// A pageLink leads to a page of GitLab.
type pageLink struct {
	Text    string `json:"text"`
	Address string `json:"address"`
}

// A pageNotice is what has to be known before any figure is believed: a stop of the run, a warning, or less.
type pageNotice struct {
	Level string  `json:"level"` // stop, warn or info
	Title shown   `json:"title,omitempty"`
	Text  shown   `json:"text,omitempty"`
	Fixed []shown `json:"fixed,omitempty"` // lines that stay as they are
	After shown   `json:"after,omitempty"` // text behind them
}

// A pageReason is a reason that tags of the run have.
type pageReason struct {
	Reason   shown   `json:"reason"`
	Outcome  Outcome `json:"outcome"`
	Words    shown   `json:"words"`
	Text     shown   `json:"text,omitempty"`
	Tags     int     `json:"tags"`
	Examples []shown `json:"examples,omitempty"`
}

// A pageStep is a command that may come next.
type pageStep struct {
	Label   shown `json:"label"`
	Command shown `json:"command"`
	Note    shown `json:"note,omitempty"`
}

// pageImages are images of which the largest are named.
type pageImages struct {
	Title shown      `json:"title"`
	Text  shown      `json:"text"`
	Rows  [][4]shown `json:"rows,omitempty"` // name, kind, age, size
}

// A kindWords says what a tag of a kind is, in two or three words and in full.
type kindWords [2]string

// kindsInWords has all kinds; "" is that of tags that the registry did not show.
var kindsInWords = map[string]kindWords{
	string(manifest.KindCacheIndex):      {"build cache (index)", "A build cache exported as an index."},
	string(manifest.KindCacheManifest):   {"build cache", "A build cache exported as a manifest."},
	string(manifest.KindAttestedImage):   {"attested image", "An image for one platform, with attestations. It can be pulled."},
	string(manifest.KindMultiArch):       {"multi-arch image", "An image for several platforms. It can be pulled."},
	string(manifest.KindImage):           {"image", "A plain image. It can be pulled."},
	string(manifest.KindArtifact):        {"artifact", "Something else than an image, such as a Helm chart."},
	string(manifest.KindMissingManifest): {"points to nothing", "The tag points to nothing."},
	"":                                   {"not known", "The registry was not asked, or did not say."},
}

func (p *page) data(found findings, unread int) pageData {
	data := pageData{
		Facts: p.facts(), Links: p.links(), Notices: p.notices(unread), GitLab: strings.TrimSuffix(WebAddress(p.GitLabURL), "/"),
		Began: secondsOf(p.Started), Kinds: kindsInWords, Stay: p.stay(), Advice: advise(found, p.Rules),
		Collects: p.collects(), Effort: shown(p.effort()), Trend: p.trend, Reasons: []pageReason{},
		Outcomes: map[Outcome]string{Marked: "would be deleted", Deleted: "deleted", Undecided: "undecided", Failed: "failed", Kept: "kept"},
	}
	for _, variable := range slices.Sorted(maps.Keys(p.Settings)) {
		data.Settings = append(data.Settings, [2]shown{shown(variable), shown(p.Settings[variable])})
	}
	for _, outcome := range []Outcome{Deleted, Failed, Undecided, Kept} {
		for _, e := range p.found(outcome) {
			data.Reasons = append(data.Reasons, pageReason{shown(e.Reason), outcome, shown(e.Words()), shown(e.Text), p.Reasons[e.Reason], allShown(p.Examples[e.Reason])})
		}
	}
	for _, s := range p.next(nil) {
		data.Steps = append(data.Steps, pageStep{shown(s.Label), shown(s.Command), shown(s.Note)})
	}
	return data
}

// facts say which run it is.
func (p *page) facts() []pageFact {
	var rules, hash string
	if p.Rules != nil {
		rules, hash = "rules "+p.Rules.Name, p.Rules.Hash
		if p.Rules.Name == "default" || p.Rules.Name == "original" {
			rules = p.Rules.Name + " rules"
		}
	}
	shard, user, began := "", "", ""
	if p.Shard != nil {
		shard = p.Shard.String()
	}
	if p.User != "" {
		user = "as @" + p.User
	}
	if !p.Started.IsZero() {
		began = p.Started.UTC().Format("2 Jan 2006, 15:04 UTC")
	}
	verified := "verified by the registry"
	if p.Verify == ByAPI {
		verified = "verified by GitLab’s API alone"
	}
	stored := map[string]string{
		registry.Legacy.String():   "registry without metadata database",
		registry.Database.String(): "registry with metadata database",
	}[p.Regime]
	facts := []pageFact{}
	for _, text := range []string{p.GitLabURL, p.scope(), shard, rules, user, began, "took " + time.Duration(p.Duration).Round(time.Second/10).String(), verified, stored,
		strings.TrimSpace("registry-gc " + p.Version)} {
		fact := pageFact{Text: shown(text)}
		if text == rules {
			fact.Title = shown(hash)
		}
		if text != "" {
			facts = append(facts, fact)
		}
	}
	return facts
}

// links lead to the job in GitLab that the run was.
func (p *page) links() (links []pageLink) {
	for _, link := range []pageLink{{"Job", WebAddress(p.JobURL)}, {"Pipeline", WebAddress(p.PipelineURL)}} {
		if link.Address != "" {
			links = append(links, link)
		}
	}
	return links
}

// WebAddress returns an address that a browser may be led to, "" for any other text.
func WebAddress(text string) string {
	address, err := url.Parse(text)
	if err != nil || address.Scheme != "http" && address.Scheme != "https" || address.Host == "" || address.User != nil {
		return ""
	}
	return address.String()
}

// notices say how the run ended and what it left open, the gravest first.
func (p *page) notices(unread int) (all []pageNotice) {
	add := func(level, title, text string) {
		all = append(all, pageNotice{Level: level, Title: shown(title), Text: shown(text)})
	}
	switch {
	case p.Interrupted:
		add("stop", "The run was interrupted.", "What is here is what it knew by then: "+p.Error)
	case p.Error != "":
		add("stop", "The run was stopped by an error.", p.Error)
	}
	if n := p.Reasons[policy.OutageSuspected]; n > 0 {
		look := " look"
		if n == 1 {
			look = " looks"
		}
		add("stop", "A guard stopped the deletions.", tags(n)+look+" dead, but so do tags that are not, or there was none to compare.")
	}
	switch {
	case p.DryRun && p.Applied != "":
		add("info", "Nothing was changed.", "This is a dry run of a plan.")
	case p.DryRun:
		add("info", "Nothing was changed.", "This is a plan.")
	case p.MaxDeletions > 0:
		add("stop", "Nothing was deleted.", "")
	}
	if lines := p.warning(); lines != nil {
		add("warn", "", strings.Join(lines, " "))
	}
	for _, n := range p.notes(Links{}) {
		if n.warns { // what is no warning has a part of the page
			all = append(all, noticeOf(n))
		}
	}
	if n := p.Unreadable; n > 0 {
		add("warn", "Not everything could be read.", "Groups, projects and repositories of whose tags nothing is known: "+number(n)+". The log names them.")
	}
	if unread > 0 {
		add("warn", "Some tags are missing here.", "Lines of "+DecisionsFile+" that could not be read: "+number(unread)+".")
	}
	if n := len(p.NamingDiffers); n > 0 {
		named := p.NamingDiffers[:min(n, mostNamed)]
		add("info", "Caches named by another convention than the images.",
			"Nothing is deleted there for a missing image: "+strings.Join(named, ", ")+more(n-len(named))+".")
	}
	if p.AdminModeLacking {
		add("info", "The token lacks the scope admin_mode.",
			"It is an administrator’s: where the instance has Admin Mode on, the run saw public projects only, and those that the token’s user is a member of.")
	}
	if p.Shard != nil {
		add("info", "A part of the run.", "This is "+p.Shard.String()+"; the projects of the others are not here.")
	}
	return all
}

// more says how many are not named; nothing where that is none.
func more(n int) string {
	if n == 0 {
		return ""
	}
	return " and " + number(n) + " more"
}

// noticeOf returns a note as the page shows it.
func noticeOf(n note) pageNotice {
	notice := pageNotice{Level: "warn"}
	for _, block := range n.blocks() {
		text := shown(strings.Join(block.lines, " "))
		switch {
		case block.fixed:
			for _, line := range block.lines {
				notice.Fixed = append(notice.Fixed, shown(strings.TrimPrefix(line, "  ")))
			}
		case notice.Fixed == nil:
			notice.Text = text
		default:
			notice.After = text
		}
	}
	return notice
}

// stay are the images that stay for want of their kind in DELETE_KINDS.
func (p *page) stay() []pageImages {
	stay := p.PullableStay
	sentences := append([]string{stay.headline()}, stay.choice(p.Settings["DELETE_KINDS"])...)
	text := strings.TrimSpace(strings.Join(append(sentences, stay.unread()), " "))
	if text == "" {
		return nil
	}
	images := pageImages{Title: "Images that can be pulled, and that GitLab cannot date", Text: shown(text)}
	for _, image := range stay.Largest {
		size := "–"
		if image.Bytes > 0 {
			size = Size(image.Bytes)
		}
		kind := cmp.Or(kindsInWords[image.Kind][0], image.Kind)
		images.Rows = append(images.Rows, [4]shown{shown(image.Repository + ":" + image.Tag), shown(kind), shown(orDash(ageAt(p.Started, image.Made))), shown(size)})
	}
	return []pageImages{images}
}

// collects say when what was deleted is gone from the disk.
func (p *page) collects() (sentences []shown) {
	if p.Regime != registry.Legacy.String() {
		sentences = append(sentences, "A registry with metadata database frees it by itself: it removes what no tag has needed for a day, unless it is set otherwise.")
	}
	if p.Regime != registry.Database.String() {
		sentences = append(sentences, "A registry without metadata database frees nothing by itself: an administrator has to run gitlab-ctl registry-garbage-collect -m on its host. "+
			"With -m it also removes what no tag names any more, and so what is pulled by digest alone: read GitLab’s documentation of it first. "+
			"Where there is no gitlab-ctl (GitLab’s Helm chart, installations from source) the registry’s own command garbage-collect does it.")
	}
	return sentences
}
