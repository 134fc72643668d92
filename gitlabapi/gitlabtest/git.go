package gitlabtest

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// gitRoute is what Git asks first when it fetches. It stands below the instance's base path.
var gitRoute = &route{
	method: "GET", template: "/:path/info/refs", parts: []string{"", ":path", "info", "refs"},
	takes:  parameters{"service": oneOf(uploadPack)},
	guard:  (*Server).authorizeGit,
	handle: (*Server).advertise,
}

const (
	uploadPack = "git-upload-pack"
	// gitCapabilities follow the first reference.
	gitCapabilities = "multi_ack thin-pack side-band side-band-64k ofs-delta shallow no-progress include-tag " +
		"multi_ack_detailed allow-tip-sha1-in-want no-done symref=HEAD:refs/heads/main filter object-format=sha1 agent=git/2.47.0"
	noObject = "0000000000000000000000000000000000000000"
)

func gitFailure(status int, text string) *answer {
	return &answer{status: status, body: text, contentType: "text/plain; charset=utf-8"}
}

// authorizeGit lets a token pass that may read Git repositories, given as a password beside any
// name.
func (s *Server) authorizeGit(c *call) *answer {
	name, _, given := c.request.BasicAuth()
	scopes, known := s.options.tokens[c.token]
	switch {
	case s.options.noGit:
		return gitFailure(http.StatusForbidden, "Git access over HTTP is not allowed")
	case !given || name == "" || !known:
		c.header.Set("WWW-Authenticate", `Basic realm="GitLab"`)
		return gitFailure(http.StatusUnauthorized, "HTTP Basic: Access denied.\n")
	case !slices.Contains(scopes, "api") && !slices.Contains(scopes, "read_repository"):
		return gitFailure(http.StatusForbidden, "You are not allowed to download code from this project.")
	}
	return nil
}

// objectOf makes the name of an object out of what points to it.
func objectOf(reference string) string {
	sum := sha1.Sum([]byte(reference))
	return hex.EncodeToString(sum[:])
}

// advertise answers with all references of a project in the order of their names, HEAD first. Every
// other tag is an annotated one, which is followed by what it leads to, and each branch but
// the first has a merge request, whose references are no branches.
func (s *Server) advertise(c *call) *answer {
	path, _ := strings.CutSuffix(c.params["path"], ".git")
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.state.byPath[path]
	switch {
	case p == nil:
		return gitFailure(http.StatusNotFound, "The project you were looking for could not be found or you don't have permission to view it.")
	case !c.query.Has("service"):
		return c.violates("service is missing")
	}
	var names []string
	for i, name := range p.Branches {
		names = append(names, "refs/heads/"+name)
		if i > 0 {
			names = append(names, fmt.Sprintf("refs/merge-requests/%d/head", i))
		}
	}
	for i, name := range p.GitTags {
		if names = append(names, "refs/tags/"+name); i%2 == 1 {
			names = append(names, "refs/tags/"+name+"^{}")
		}
	}
	slices.Sort(names)
	if names = names[:c.shorten(len(names))]; len(names) > 0 {
		names = slices.Insert(names, 0, "HEAD")
	}
	var body strings.Builder
	packet := func(text string) { fmt.Fprintf(&body, "%04x%s", len(text)+4, text) }
	packet("# service=" + uploadPack + "\n")
	body.WriteString("0000")
	for i, name := range names {
		line := objectOf(name) + " " + name
		if i == 0 {
			line += "\x00" + gitCapabilities
		}
		packet(line + "\n")
	}
	if len(names) == 0 {
		packet(noObject + " capabilities^{}\x00" + gitCapabilities + "\n")
	}
	body.WriteString("0000")
	c.header.Set("Cache-Control", "no-cache, max-age=0, must-revalidate")
	return &answer{status: http.StatusOK, body: body.String(), contentType: "application/x-" + uploadPack + "-advertisement"}
}

// listBranches answers GET /projects/:id/repository/branches.
func (s *Server) listBranches(c *call) *answer {
	return s.listReferences(c, "refs/heads/", func(p *project) []string { return p.Branches }, func(i int) map[string]any {
		return map[string]any{"merged": false, "protected": i == 0, "default": i == 0, "can_push": true}
	})
}

// listGitTags answers GET /projects/:id/repository/tags.
func (s *Server) listGitTags(c *call) *answer {
	return s.listReferences(c, "refs/tags/", func(p *project) []string { return p.GitTags }, func(int) map[string]any {
		return map[string]any{"message": "", "protected": false, "release": nil}
	})
}

func (s *Server) listReferences(c *call, kind string, of func(*project) []string, more func(i int) map[string]any) *answer {
	p := s.project(c)
	if p == nil {
		return notFound("Project")
	}
	s.mu.Lock()
	names := slices.Sorted(slices.Values(of(p)))
	s.mu.Unlock()
	shown := []map[string]any{}
	for i, name := range offsetPage(c, names[:c.shorten(len(names))]) {
		row := more(i)
		object := objectOf(kind + name)
		row["name"], row["commit"] = name, map[string]any{"id": object, "short_id": object[:8]}
		shown = append(shown, row)
	}
	return ok(shown)
}

// Protect gives a project one more rule for protected tags, while the server serves.
func (s *Server) Protect(projectPath string, rule ProtectionRule) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.state.byPath[projectPath]
	if p == nil {
		return fmt.Errorf("gitlabtest: no project %q", projectPath)
	}
	p.rules = append(slices.Clone(p.rules), rulesOf(&Project{Path: p.Path, ProtectionRules: []ProtectionRule{rule}})...)
	return nil
}

// listProtectionRules answers GET /projects/:id/registry/protection/tag/rules, all on one page.
func (s *Server) listProtectionRules(c *call) *answer {
	p := s.project(c)
	switch {
	case s.options.noRulesOverREST:
		return &answer{status: http.StatusNotFound, body: problem{Error: "404 Not Found"}}
	case p == nil:
		return notFound("Project")
	case p.NotMember || s.options.role < Maintainer:
		return forbidden()
	}
	shown := []map[string]any{}
	for i, r := range p.rules[:c.shorten(len(p.rules))] {
		row := map[string]any{
			"id": i + 1, "project_id": p.ID, "tag_name_pattern": r.Pattern,
			"minimum_access_level_for_push": nil, "minimum_access_level_for_delete": nil,
		}
		if !r.Immutable {
			row["minimum_access_level_for_push"], row["minimum_access_level_for_delete"] = accessLevels[r.Push], accessLevels[r.Delete]
		}
		shown = append(shown, row)
	}
	return ok(shown)
}

// PushBranch makes a branch of a project as another client would, while the server serves.
func (s *Server) PushBranch(projectPath, branch string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.state.byPath[projectPath]
	if p == nil {
		return fmt.Errorf("gitlabtest: no project %q", projectPath)
	}
	if !slices.Contains(p.Branches, branch) {
		p.Branches = append(slices.Clone(p.Branches), branch) // a world shares its list with its servers
	}
	return nil
}

// Deploy makes an environment of a project, while the server serves.
func (s *Server) Deploy(projectPath string, e Environment) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.state.byPath[projectPath]
	if p == nil {
		return fmt.Errorf("gitlabtest: no project %q", projectPath)
	}
	p.Environments = append(slices.Clone(p.Environments), e)
	return nil
}
