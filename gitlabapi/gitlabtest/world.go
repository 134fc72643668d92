package gitlabtest

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Regime says how an instance stores what it knows about tags.
type Regime int

// The two regimes.
const (
	// Legacy is a registry without a metadata database: Rails reads manifests.
	Legacy Regime = iota
	// Database is a registry with one: Rails reads rows.
	Database
)

// String returns the name that reports use.
func (r Regime) String() string {
	if r == Database {
		return "database"
	}
	return "legacy"
}

// World is a plan of an instance: what there is before the first request. It is
// made with [NewWorld] or [RandomWorld.World] and must not be changed any more once
// a server was made of it.
type World struct {
	Regime   Regime
	Projects []*Project
	Groups   []*Group // made from the paths of the projects

	groups       map[string]*Group
	projects     map[string]*Project
	repositories int64
}

// Group is a group or a subgroup.
type Group struct {
	ID     int64
	Path   string // full
	Parent *Group // nil at the top
}

// Project is a project. The zero value of each flag is the plain case: a
// project that the token's user may read and delete in.
type Project struct {
	ID   int64
	Path string // full
	// Archived: everything can be read and nothing deleted.
	Archived bool
	// MarkedForDeletion: GitLab is going to delete the project; it is read-only until then.
	MarkedForDeletion bool
	// RegistryDisabled: the project says so, and its registry answers 403.
	RegistryDisabled bool
	// NotMember: the project is public, and its user no member: it is left out
	// of lists that ask for membership, and deletions answer 403.
	NotMember bool
	// Forbidden: it is listed like any other, but its registry answers 403.
	Forbidden bool
	// RegistryHidden: it is listed like any other, and GitLab says of its registry that there is
	// none, as the token's user may not see it.
	RegistryHidden bool
	Repositories   []*Repository
	// Branches and GitTags are names in its Git repository.
	Branches, GitTags []string
	Environments      []Environment
	MergeRequests     []MergeRequest
	Topics            []string
	// ProtectionRules are at most five. Only a registry with a database has such rules, and a
	// server of the other regime leaves them out.
	ProtectionRules []ProtectionRule

	world *World
	group *Group
}

// Environment is a place that a project is deployed to.
type Environment struct {
	Name    string
	Stopped bool
	// Ref and SHA are what was last deployed with success; both are empty when nothing was. Tag
	// says that Ref is a Git tag.
	Ref, SHA string
	Tag      bool
}

// TokenUser is the name of the user that all tokens belong to.
const TokenUser = "registry-gc"

// MergeRequest is one of a project's, and what is written on it from the oldest to the newest.
type MergeRequest struct {
	IID   int64 // its number in the project
	Notes []Note
}

// Note is a comment of a user's, or what GitLab itself has noted that a user did.
type Note struct {
	Author string // name of a user, such as [TokenUser]
	Body   string
	System bool
}

// Role is what a user may do in a project, or on the whole instance.
type Role int

// The roles that matter, from the lowest. A Reporter may pull and not push, nor delete anything.
const (
	Reporter Role = iota - 1
	Developer
	Maintainer
	Owner
	Administrator // of the instance
)

// accessLevels are how GitLab names the roles in rules.
var accessLevels = [...]string{Maintainer: "maintainer", Owner: "owner", Administrator: "admin"}

// ProtectionRule protects the tags of all repositories of a project whose names match: from
// those whose role is lower than it says, and nobody else.
type ProtectionRule struct {
	// Pattern is one of RE2, and matches anywhere in a name. What Go cannot read of that
	// matches every name.
	Pattern string
	// Push and Delete are the lowest roles that may, at least Maintainer.
	Push, Delete Role
	// Immutable rules hold everybody, whatever the roles are.
	Immutable bool
}

// Repository is a container repository.
type Repository struct {
	ID     int64
	Name   string // below the project; "" is the root repository
	Status string // "", delete_scheduled, delete_ongoing or delete_failed
	Tags   []*Tag

	project *Project
}

// Tag is a tag. A world can hold millions of them.
type Tag struct {
	Name    string
	Kind    Kind
	Created time.Time // when it was made, and pushed first
	// Pushed is when it was pushed last, which DATABASE alone shows; zero for Created.
	Pushed time.Time
}

// Created is the date of tags that were not given another. All tags of one
// kind and date share their manifest.
var Created = time.Date(2024, time.March, 1, 12, 0, 0, 0, time.UTC)

// Where ids start: far enough from each other that a mistaken one is not found.
const (
	firstGroupID      = 11
	firstProjectID    = 1_001
	firstRepositoryID = 5_000_001
	firstNoteID       = 9_000_001
)

// NewWorld returns an empty world.
func NewWorld(regime Regime) *World {
	return &World{Regime: regime, groups: map[string]*Group{}, projects: map[string]*Project{}}
}

// AddProject adds a project, and the groups of its path that do not exist yet.
// It panics on a path that GitLab would refuse or that is taken, as the other
// Add methods do.
func (w *World) AddProject(path string) *Project {
	dir, _, ok := cutLast(path)
	mustBe(ok && registryPath.MatchString(path) && !reservedPath.MatchString(path), "no path of a project: %q", path)
	mustBe(w.projects[path] == nil && w.groups[path] == nil, "path is taken: %q", path)
	p := &Project{
		ID: firstProjectID + int64(len(w.Projects)), Path: path,
		world: w, group: w.group(dir),
	}
	w.Projects, w.projects[path] = append(w.Projects, p), p
	return p
}

// group returns a group, which is made with its parents if need be.
func (w *World) group(path string) *Group {
	if g := w.groups[path]; g != nil {
		return g
	}
	var parent *Group
	if dir, _, ok := cutLast(path); ok {
		parent = w.group(dir)
	}
	g := &Group{ID: firstGroupID + int64(len(w.Groups)), Path: path, Parent: parent}
	w.Groups = append(w.Groups, g)
	w.groups[path] = g
	return g
}

// Project returns the project of a full path, nil if there is none.
func (w *World) Project(path string) *Project { return w.projects[path] }

// AddRepository adds a repository; "" is the project's root image.
func (p *Project) AddRepository(name string) *Repository {
	mustBe(validRepository(name), "no name of a repository: %q", name)
	mustBe(p.Repository(name) == nil, "%s has a repository %q already", p.Path, name)
	r := &Repository{ID: firstRepositoryID + p.world.repositories, Name: name, project: p}
	p.world.repositories++
	p.Repositories = append(p.Repositories, r)
	return r
}

// Repository returns the repository of a name, nil if there is none.
func (p *Project) Repository(name string) *Repository {
	for _, r := range p.Repositories {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// Project returns the project that the repository belongs to.
func (r *Repository) Project() *Project { return r.project }

// Path returns the repository's full path.
func (r *Repository) Path() string {
	return strings.TrimSuffix(r.project.Path+"/"+r.Name, "/")
}

// AddTag adds a tag with the date [Created]. That a name is taken is found by
// [New] only.
func (r *Repository) AddTag(name string, kind Kind) *Tag {
	return r.AddTagAt(name, kind, Created)
}

// AddTagAt adds a tag with a date of its own: that of its image, or of the
// newest layer of its cache, and on DATABASE that of its row.
func (r *Repository) AddTagAt(name string, kind Kind, created time.Time) *Tag {
	mustBe(validTag(name), "no name of a tag: %q", name)
	kind.number()
	t := &Tag{Name: name, Kind: kind, Created: created}
	r.Tags = append(r.Tags, t)
	return t
}

// AddStray adds a name that no tag can have. Only a registry without a database lists such names, and a
// server of the other regime leaves them out.
func (r *Repository) AddStray(name string) {
	mustBe(!validTag(name) && name != "", "a tag can be called %q", name)
	r.Tags = append(r.Tags, &Tag{Name: name, Kind: KindStray, Created: Created})
}

// cutLast splits a path before its last element.
func cutLast(path string) (dir, base string, ok bool) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", path, false
	}
	return path[:i], path[i+1:], true
}

// mustBe panics unless ok: a mistake in a world is a mistake in a program, and the stack
// shows the line.
func mustBe(ok bool, format string, args ...any) {
	if !ok {
		panic("gitlabtest: " + fmt.Sprintf(format, args...))
	}
}

// The names that GitLab and the registry allow. Paths of projects may hold capitals, which
// the registry does not know; worlds do without them.
var (
	registryPath = regexp.MustCompile(`^[a-z0-9]+(?:(?:[._/]|__|-+)[a-z0-9]+)*$`)
	reservedPath = regexp.MustCompile(`\.(?:git|atom)(?:/|$)`)
	tagName      = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)
)

// validRepository holds for names of repositories below their project, and for full ones.
func validRepository(name string) bool { return name == "" || registryPath.MatchString(name) }

func validTag(name string) bool { return tagName.MatchString(name) }
