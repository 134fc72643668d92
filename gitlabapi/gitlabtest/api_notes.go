package gitlabtest

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// maxNote is how many characters a note may have.
const maxNote = 1_000_000

// note is a row of a note.
type note struct {
	Note
	id               int64
	created, updated time.Time
}

// notesOf makes the rows of a project's notes, each a minute younger than the one before.
func (st *state) notesOf(p *Project) map[int64][]*note {
	rows := map[int64][]*note{}
	for _, m := range p.MergeRequests {
		mustBe(m.IID > 0 && rows[m.IID] == nil, "%s has a merge request !%d twice, or it is no number of one", p.Path, m.IID)
		rows[m.IID] = []*note{}
		for i, n := range m.Notes {
			mustBe(n.Author != "" && n.Body != "", "a note on !%d of %s lacks its author or body", m.IID, p.Path)
			at := Created.Add(time.Duration(i) * time.Minute)
			st.lastNote++
			rows[m.IID] = append(rows[m.IID], &note{n, st.lastNote, at, at})
		}
	}
	return rows
}

// Notes returns what is written on a merge request, from the oldest to the newest.
func (s *Server) Notes(projectPath string, iid int64) []Note {
	s.mu.Lock()
	defer s.mu.Unlock()
	var written []Note
	if p := s.state.byPath[projectPath]; p != nil {
		for _, n := range p.notes[iid] {
			written = append(written, n.Note)
		}
	}
	return written
}

// mergeRequest returns project and number of the call's merge request, or the answer that there is none.
func (s *Server) mergeRequest(c *call) (*project, int64, *answer) {
	p := s.project(c)
	if p == nil {
		return nil, 0, notFound("Project")
	}
	iid, err := strconv.ParseInt(c.params["iid"], 10, 64)
	if err != nil {
		return nil, 0, c.violates("noteable_id is invalid")
	}
	if p.notes[iid] == nil {
		return nil, 0, failure(http.StatusNotFound, "Not found")
	}
	return p, iid, nil
}

// listNotes answers GET /projects/:id/merge_requests/:iid/notes: the newest first, unless it is asked otherwise.
func (s *Server) listNotes(c *call) *answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, iid, refused := s.mergeRequest(c)
	if refused != nil {
		return refused
	}
	notes := slices.Clone(p.notes[iid])
	if c.query.Get("sort") != "asc" {
		slices.Reverse(notes)
	}
	shown := []map[string]any{}
	for _, n := range offsetPage(c, notes[:c.shorten(len(notes))]) {
		shown = append(shown, n.shown(p, iid))
	}
	return ok(shown)
}

// createNote answers POST /projects/:id/merge_requests/:iid/notes. Whoever sees a merge request may write on it.
func (s *Server) createNote(c *call) *answer {
	body, refused := c.noteBody()
	s.mu.Lock()
	defer s.mu.Unlock()
	p, iid, missing := s.mergeRequest(c)
	switch {
	case missing != nil:
		return missing
	case p.readOnly():
		return forbidden()
	case refused != nil:
		return refused
	}
	s.state.lastNote++
	n := &note{Note{Author: TokenUser, Body: body}, s.state.lastNote, c.at, c.at}
	p.notes[iid] = append(p.notes[iid], n)
	return &answer{status: http.StatusCreated, body: n.shown(p, iid)}
}

// updateNote answers PUT /projects/:id/merge_requests/:iid/notes/:note_id. A note may be changed by who wrote it
// and by Maintainers, and one of GitLab's own by nobody.
func (s *Server) updateNote(c *call) *answer {
	body, refused := c.noteBody()
	s.mu.Lock()
	defer s.mu.Unlock()
	p, iid, missing := s.mergeRequest(c)
	if missing != nil {
		return missing
	}
	id, err := strconv.ParseInt(c.params["note_id"], 10, 64)
	if err != nil {
		return c.violates("note_id is invalid")
	}
	i := slices.IndexFunc(p.notes[iid], func(n *note) bool { return n.id == id })
	if i < 0 {
		return failure(http.StatusNotFound, "Not found")
	}
	n := p.notes[iid][i]
	switch {
	case p.readOnly(), n.System, n.Author != TokenUser && s.options.role < Maintainer:
		return forbidden()
	case refused != nil:
		return refused
	}
	n.Body, n.updated = body, c.at
	return ok(n.shown(p, iid))
}

// quickActionLine is a line that GitLab takes for a command to be done.
var quickActionLine = regexp.MustCompile(`(?m)^[ \t]*/[A-Za-z]`)

// noteBody reads the only member of the request's body, or says why it cannot be the text of a note.
func (c *call) noteBody() (string, *answer) {
	if mediaType, _, err := mime.ParseMediaType(c.request.Header.Get("Content-Type")); err != nil || mediaType != "application/json" {
		return "", c.violates("the body is not said to be JSON")
	}
	sent, err := io.ReadAll(c.request.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // the client has gone away
	}
	var members map[string]json.RawMessage
	var text string
	switch err := json.Unmarshal(sent, &members); {
	case err != nil:
		return "", c.violates("the body is no JSON object")
	case members["body"] == nil:
		return "", c.violates("body is missing")
	case len(members) > 1:
		return "", c.violates("the body has members that this server does not know")
	case json.Unmarshal(members["body"], &text) != nil:
		return "", c.violates("body is invalid")
	case strings.TrimSpace(text) == "":
		return "", failure(http.StatusBadRequest, `Bad request - Note {:note=>["can't be blank"]}`)
	case utf8.RuneCountInString(text) > maxNote:
		return "", failure(http.StatusBadRequest, `Bad request - Note {:note=>["is too long (maximum is 1000000 characters)"]}`)
	case quickActionLine.MatchString(text):
		return "", c.violates("the note has a quick action, which would be done")
	}
	return text, nil
}

// shown is a note as lists and details show it.
func (n *note) shown(p *project, iid int64) map[string]any {
	return map[string]any{
		"id": n.id, "type": nil, "body": n.Body, "attachment": nil, "author": shownUser(n.Author),
		"created_at": rowTime(n.created), "updated_at": rowTime(n.updated), "system": n.System,
		"noteable_id": 70_000 + iid, "noteable_type": "MergeRequest", "project_id": p.ID, "noteable_iid": iid,
		"resolvable": false, "confidential": false, "internal": false, "imported": false, "imported_from": "none",
		"commands_changes": map[string]any{},
	}
}
