package gitlabtest

import "time"

// reviewedAfter is how long after a manifest has lost a tag a registry with a database looks
// whether anything still needs it: a day, and up to a minute until its turn comes. What the
// manifest referred to is looked at as long after that.
const reviewedAfter = 24*time.Hour + time.Minute

// lost notes that a manifest has one tag less, or was pushed without any.
func (r *storedRepository) lost(m *manifest, at int64) {
	if m == nil {
		return
	}
	if r.untagged == nil {
		r.untagged = map[*manifest]int64{}
	}
	r.untagged[m] = at
}

// review removes what the collector of a registry with a database has removed by a time.
func (r *storedRepository) review(now time.Time) {
	due := false
	for _, at := range r.untagged {
		for _, after := range []time.Duration{reviewedAfter, 2 * reviewedAfter} {
			turn := unixTime(at).Add(after)
			due = due || turn.After(r.reviewed) && !turn.After(now)
		}
	}
	r.reviewed = now
	if !due {
		return
	}
	r.forget()
	for m, at := range r.untagged {
		switch age := now.Sub(unixTime(at)); {
		case age < reviewedAfter:
			r.add(m)
		case age < 2*reviewedAfter:
			r.addParts(m)
		default:
			delete(r.untagged, m)
		}
	}
}

// forget removes all that no tag needs.
func (r *storedRepository) forget() {
	r.digests, r.complete = map[string]bool{}, true
	for _, t := range r.live() {
		r.add(t.manifest)
	}
}

// CollectGarbage removes every manifest without a tag, and every blob that nothing refers to then,
// as "registry-garbage-collect -m" does with a registry on LEGACY, which is stopped for that time.
// On DATABASE the registry collects by itself, by the server's clock: a day after a manifest has
// lost its last tag.
func (s *Server) CollectGarbage() {
	s.mu.Lock()
	defer s.mu.Unlock()
	mustBe(s.state.regime == Legacy, "a registry with a database collects by itself")
	for _, r := range s.state.located {
		r.stored.untagged = nil
		r.stored.forget()
	}
}

// reviewed is a repository when the collector of its registry has done what is due. The server
// is locked.
func (s *Server) reviewed(r *repository) *repository {
	if r != nil && s.state.regime == Database {
		r.stored.review(s.options.clock())
	}
	return r
}
