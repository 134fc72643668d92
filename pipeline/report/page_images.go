package report

import (
	"cmp"
	"strings"
	"time"
)

// An imageList is images that can be pulled, with the largest of them by name.
type imageList struct {
	Title, Text string
	Rows        []imageRow
}

type imageRow struct{ Name, Kind, Age, Bytes string }

// imageLists are the images that go, and those that stay for want of a word.
func imageLists(s *Summary) []imageList {
	var lists []imageList
	if goes := s.Pullable; goes.Tags > 0 {
		title := "Were deleted, and could be pulled"
		if s.marks() {
			title = "Would go, and can still be pulled"
		}
		words := append([]string{goes.kindWords()}, goes.measures(s.Started)...)
		lists = append(lists, imageList{title, strings.Join(words, ", ") + ". They are in the table at the end with all others that go.", goes.rows(s.Started)})
	}
	stay := s.PullableStay
	sentences := append([]string{stay.headline()}, stay.choice(s.Settings["DELETE_KINDS"])...)
	if text := strings.TrimSpace(strings.Join(append(sentences, stay.unread()), " ")); text != "" {
		lists = append(lists, imageList{"Stay, as DELETE_KINDS does not name their kind", text, stay.rows(s.Started)})
	}
	return lists
}

// rows are the images that are named.
func (s *Images) rows(began time.Time) []imageRow {
	var rows []imageRow
	for _, image := range s.Largest {
		row := imageRow{image.Repository + ":" + image.Tag, image.Kind, cmp.Or(ageAt(began, image.Made), "–"), "–"}
		if image.Bytes > 0 {
			row.Bytes = Size(image.Bytes)
		}
		rows = append(rows, row)
	}
	return rows
}
