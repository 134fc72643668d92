package gitlabapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	gitlab "gitlab.com/gitlab-org/api/client-go/v2"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

// MaxNote is how long a note may be, in characters.
const MaxNote = 1_000_000

// maxNotePages is how many pages of a merge request's notes are looked through for one, the newest first.
const maxNotePages = 10

// A MergeRequest is one of a project's, by its number there.
type MergeRequest struct{ ProjectID, IID int64 }

// quickAction is a line that GitLab takes for a command, such as /merge, and does.
var quickAction = regexp.MustCompile(`(?m)^\s*/`)

// WriteNote puts a note on a merge request, or puts its body in the place of that of the earlier one: the newest
// of the token's user's own whose first line is the same. Anybody can write such a line, so that the user counts,
// too; who is a Maintainer could overwrite the notes of others. It reports whether there was an earlier one.
//
// A new note is sent once: where its answer is lost it may be there, and the next call finds it.
func (c *Client) WriteNote(ctx context.Context, to MergeRequest, body string) (updated bool, err error) {
	if updated, err = c.writeNote(ctx, to, body); err != nil {
		return updated, fmt.Errorf("writing a note on merge request !%d of project %d: %w", to.IID, to.ProjectID, err)
	}
	return updated, nil
}

func (c *Client) writeNote(ctx context.Context, to MergeRequest, body string) (updated bool, err error) {
	switch {
	case len(body) > MaxNote:
		return false, fmt.Errorf("it is longer than %d characters", MaxNote)
	case quickAction.MatchString(body):
		return false, errors.New("a line of it begins with a slash, which GitLab would take for a command")
	}
	first, _, _ := strings.Cut(body, "\n")
	earlier, err := c.ownNote(ctx, to, first)
	if err != nil {
		return false, err
	}
	if earlier != 0 {
		return true, c.updateNote(ctx, to, earlier, body)
	}
	return false, c.createNote(ctx, to, body)
}

// ownNote returns the number of the newest note of the token's user's with a first line, 0 if there is none.
func (c *Client) ownNote(ctx context.Context, on MergeRequest, first string) (int64, error) {
	user, err := c.currentUser(ctx)
	if err != nil {
		return 0, err
	}
	options := &gitlab.ListMergeRequestNotesOptions{
		ListOptions: gitlab.ListOptions{PerPage: pageSize}, OrderBy: new("created_at"), Sort: new("desc"),
	}
	list := listing[*gitlab.Note]{
		client: c,
		path:   notesPath(on),
		fetch: func(page ...gitlab.RequestOptionFunc) ([]*gitlab.Note, *gitlab.Response, error) {
			return c.gitlab.Notes.ListMergeRequestNotes(on.ProjectID, on.IID, options, page...)
		},
		key: func(n *gitlab.Note) string { return strconv.FormatInt(n.ID, 10) },
	}
	read := 0
	for page, err := range list.pages(ctx) {
		if err != nil {
			return 0, err
		}
		for _, note := range page.items {
			line, _, _ := strings.Cut(note.Body, "\n")
			if !note.System && note.Author.ID == user.ID && strings.TrimRight(line, "\r") == first {
				return note.ID, nil
			}
		}
		if read++; read == maxNotePages {
			break
		}
	}
	return 0, nil
}

func (c *Client) createNote(ctx context.Context, on MergeRequest, body string) error {
	once := throttle.With(ctx, throttle.Request{Priority: c.priority, Tries: new(1)})
	note, resp, err := c.gitlab.Notes.CreateMergeRequestNote(on.ProjectID, on.IID,
		&gitlab.CreateMergeRequestNoteOptions{Body: &body}, gitlab.WithContext(once))
	if err == nil && (note == nil || note.ID == 0) {
		err = &throttle.FormatError{Problem: "the answer is no note"}
	}
	if err != nil {
		return c.failure(http.MethodPost, notesPath(on), resp, err)
	}
	return nil
}

// updateNote may be sent twice: the second time changes nothing.
func (c *Client) updateNote(ctx context.Context, on MergeRequest, id int64, body string) error {
	note, resp, err := c.gitlab.Notes.UpdateMergeRequestNote(on.ProjectID, on.IID, id,
		&gitlab.UpdateMergeRequestNoteOptions{Body: &body}, c.reading(ctx))
	if err == nil && (note == nil || note.ID != id) {
		err = &throttle.FormatError{Problem: "the answer is not the note that was sent"}
	}
	if err != nil {
		return c.failure(http.MethodPut, fmt.Sprintf("%s/%d", notesPath(on), id), resp, err)
	}
	return nil
}

func notesPath(on MergeRequest) string {
	return fmt.Sprintf("/projects/%d/merge_requests/%d/notes", on.ProjectID, on.IID)
}
