package report

import (
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
)

// Each function here fills one part of page.html and the smaller ones that it holds.

func (p *page) markup() markup {
	return pageParts.fill("page", slots{
		"title":           p.title(),
		"style":           markup{pageStyle},
		"style-hash":      contentHash(pageStyle),
		"script":          markup{pageScript},
		"script-hash":     contentHash(pageScript),
		"origin":          pageParts.fillIf(p.origin() != "", "origin", slots{"text": p.origin()}),
		"notice":          joined(notices(p.Summary, p.unread), notice.markup),
		"figure":          joined(figures(p.Summary), figure.markup),
		"duration":        p.Duration.rounded(),
		"requests":        p.requestsWords(),
		"regime":          p.regimeWords(),
		"verify":          p.verifyWords(),
		"referenced":      p.referenced(),
		"passed-over":     pageParts.fillIf(len(p.Skipped) > 0, "passed-over", slots{"text": p.skippedWords()}),
		"chart":           joined(p.charts(), chart.markup),
		"images":          p.images(),
		"advice":          joined(p.advice, advice.markup),
		"no-advice":       pageParts.fillIf(len(p.advice) == 0, "no-advice", nil),
		"collect-offline": pageParts.fillIf(p.Regime != registry.Database.String(), "collect-offline", nil),
		"collect-online":  pageParts.fillIf(p.Regime != registry.Legacy.String(), "collect-online", nil),
		"decisions":       p.decisions(),
		"no-decisions":    pageParts.fillIf(p.found.Listed == 0, "no-decisions", nil),
	})
}

func (n notice) markup() markup {
	return pageParts.fill("notice", slots{"class": n.Class, "title": n.Title, "text": n.Text})
}

func (f figure) markup() markup {
	note := pageParts.fillIf(f.Note != "", "note", slots{"text": f.Note})
	return pageParts.fill("figure", slots{"class": f.Class, "name": f.Name, "value": f.Value, "note": note})
}

func (p *page) referenced() markup {
	fate := "were deleted"
	if p.marks() {
		fate = "are marked"
	}
	return pageParts.fillIf(p.found.Bytes > 0, "referenced", slots{
		"bytes": Size(p.found.Bytes), "fate": fate, "tags": number(p.found.Sized),
	})
}

func (p *page) decisions() markup {
	return pageParts.fillIf(p.found.Listed > 0, "decisions", slots{
		"began":         p.Started.UTC().Format(time.RFC3339),
		"selection":     pageParts.fillIf(p.selects, "selection", nil),
		"select-column": pageParts.fillIf(p.selects, "select-column", nil),
		"age-column":    pageParts.fillIf(p.found.Dated && !p.Started.IsZero(), "age-column", nil),
		"bytes-column":  pageParts.fillIf(p.found.Bytes > 0, "bytes-column", nil),
	})
}

// images are those that can be pulled: that go, and that stay.
func (p *page) images() markup {
	all := imageLists(p.Summary)
	return pageParts.fillIf(len(all) > 0, "images", slots{"image-list": joined(all, imageList.markup)})
}

func (l imageList) markup() markup {
	rows := joined(l.Rows, func(row imageRow) markup {
		return pageParts.fill("image", slots{"name": row.Name, "kind": row.Kind, "age": row.Age, "bytes": row.Bytes})
	})
	return pageParts.fill("image-list", slots{
		"title": l.Title, "text": l.Text,
		"image-table": pageParts.fillIf(len(l.Rows) > 0, "image-table", slots{"title": l.Title, "image": rows}),
	})
}

func (a advice) markup() markup {
	return pageParts.fill("advice", slots{
		"title": a.Title, "tags": tags(a.Tags), "why": a.Why, "change": a.Change,
		"code":          pageParts.fillIf(a.Code != "", "code", slots{"option": a.Code}),
		"project":       joined(a.Projects, projectCount.markup),
		"more-projects": pageParts.fillIf(a.More > 0, "more-projects", slots{"number": number(a.More)}),
	})
}

func (c projectCount) markup() markup {
	return pageParts.fill("project", slots{"name": c.Project, "tags": number(c.Tags)})
}

func (c chart) markup() markup {
	drawn := len(c.Bars) > 0
	return pageParts.fill("chart", slots{
		"id": c.ID, "title": c.Title,
		"picture":    pageParts.fillIf(drawn, "picture", c.picture()),
		"no-picture": pageParts.fillIf(!drawn, "no-picture", nil),
	})
}

func (c chart) picture() slots {
	return slots{
		"id": c.ID, "title": c.Title, "text": c.Text, "column": c.Column, "height": c.height(),
		"legend":   joined(c.Legend, legend.markup),
		"bar":      joined(c.Bars, func(b bar) markup { return b.markup(c.height()) }),
		"left-out": pageParts.fillIf(c.More != "", "left-out", slots{"text": c.More}),
		"line":     joined(c.Bars, bar.line),
	}
}

func (l legend) markup() markup {
	return pageParts.fill("legend", slots{"class": l.Class, "name": l.Name})
}

// markup draws the bar into a picture of some height.
func (b bar) markup(height int) markup {
	const toLabel, toBar = 14, 21 // pixels; a label's place is its base line
	return pageParts.fill("bar", slots{
		"height": height, "label": b.Label, "label-y": b.Top + toLabel, "y": b.Top + toBar, "tags": number(b.Total),
		"segment": joined(b.Segments, func(s segment) markup {
			return pageParts.fillIf(s.Count > 0, "segment", slots{
				"class": s.Class, "x": s.X, "y": b.Top + toBar, "length": s.Len,
				"bar": b.Name, "tags": number(s.Count), "outcome": s.Name,
			})
		}),
	})
}

// line is the bar as a line of the table.
func (b bar) line() markup {
	return pageParts.fill("line", slots{
		"name": b.Name, "tags": number(b.Total),
		"words":       pageParts.fillIf(b.Words != "", "words", slots{"text": b.Words}),
		"outcome":     joined(b.Segments, segment.markup),
		"referencing": pageParts.fillIf(b.Bytes > 0, "referencing", slots{"bytes": Size(b.Bytes)}),
	})
}

func (s segment) markup() markup {
	return pageParts.fillIf(s.Count > 0, "outcome", slots{"tags": number(s.Count), "outcome": s.Name})
}
