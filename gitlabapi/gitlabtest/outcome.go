package gitlabtest

import "fmt"

// TagState is a tag, and the truth about it.
type TagState struct {
	Project    string // full path
	Repository string // full path
	Tag        string
	Kind       Kind
	// Dead is the reason for which it has to go, "" when it must stay.
	Dead string
	// Truth is the same reason, or that for which it stays: protected,
	// healthy, counterpart-present, dated-orphan or out-of-reach.
	Truth string
}

// String returns the tag's full name.
func (t TagState) String() string { return t.Repository + ":" + t.Tag }

func stateOf(r *repository, t *storedTag) TagState {
	return TagState{
		Project: r.project.path, Repository: r.path, Tag: t.name,
		Kind: kinds[t.note.kind].kind,
		Dead: t.note.verdict.dead(), Truth: t.note.verdict.String(),
	}
}

// Deleted returns the tags that were really deleted by requests, in order,
// with the truth about them before anything was deleted.
func (s *Server) Deleted() []TagState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]TagState(nil), s.deleted...)
}

// Remaining returns the tags that are left, by project id, repository id and
// name.
func (s *Server) Remaining() []TagState {
	s.mu.Lock()
	defer s.mu.Unlock()
	var left []TagState
	for _, p := range s.state.projects {
		for _, r := range p.repositories {
			tags := r.stored.live()
			for i := range tags {
				left = append(left, stateOf(r, &tags[i]))
			}
		}
	}
	return left
}

// Push pushes a tag as another client would, while the server serves. The truth
// about the tag is judged by how things stand now, and so is that about the
// cache whose counterpart it is.
func (s *Server) Push(projectPath, repository, tag string, kind Kind) error {
	now := s.options.clock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !validTag(tag) || !s.state.regime.holds(kind) {
		return fmt.Errorf("gitlabtest: this registry takes no tag %q of kind %q", tag, kind)
	}
	r, err := s.state.find(projectPath, repository)
	if err != nil {
		return err
	}
	s.state.push(r, tag, kind, now)
	return nil
}

// Remove removes a tag as another client would; it does not count as deleted,
// and the truth about other tags stays what it was.
func (s *Server) Remove(projectPath, repository, tag string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.state.find(projectPath, repository)
	if err != nil {
		return err
	}
	r.stored.remove(tag)
	return nil
}
