package policy

import (
	"time"

	"cel.dev/cel-go/common/types"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
)

// A Fact is something that may have been found out: it is known, absent when there is nothing
// to know, such as the age of a tag that points to nothing, or unknown. The zero value is unknown.
type Fact[T any] struct {
	value T
	state state
}

type state uint8

const (
	unknown state = iota
	absent
	known
)

// Known returns the fact that v was found out.
func Known[T any](v T) Fact[T] { return Fact[T]{v, known} }

// Absent returns the fact that there is nothing to know.
func Absent[T any]() Fact[T] { return Fact[T]{state: absent} }

// Unknown returns a fact that was not found out: nobody asked, or there was no answer, or
// one that cannot be trusted.
func Unknown[T any]() Fact[T] { return Fact[T]{} }

// Get returns what was found out, and whether anything was.
func (f Fact[T]) Get() (T, bool) { return f.value, f.state == known }

// IsKnown reports whether the fact has a value.
func (f Fact[T]) IsKnown() bool { return f.state == known }

// IsAbsent reports whether there is nothing to know.
func (f Fact[T]) IsAbsent() bool { return f.state == absent }

// IsUnknown reports whether the fact was not found out.
func (f Fact[T]) IsUnknown() bool { return f.state == unknown }

// Counterpart is what is known of the tag of the same name in the repository of the same
// project whose name lacks the cache suffix. It is absent outside cache repositories.
type Counterpart string

const (
	// CounterpartPresent: the counterpart repository has a tag of that name, or is
	// just being deleted, in which case it cannot be known any more what it had.
	CounterpartPresent Counterpart = "present"
	// CounterpartTagMissing: the counterpart repository is there and lacks the tag.
	CounterpartTagMissing Counterpart = "tag-missing"
	// CounterpartRepositoryMissing: the project has no such repository.
	CounterpartRepositoryMissing Counterpart = "repository-missing"
)

// Branch says whether the project has a branch or a Git tag whose slug the tag's name is, or begins
// with: main-amd64 and feature-1-cache are named after branches, too.
type Branch string

// What is known of a branch.
const (
	BranchPresent Branch = "present"
	BranchMissing Branch = "missing"
)

// Facts is all that a verdict on one tag rests on. What has no [Fact] is always known.
type Facts struct {
	Tag         Tag
	Repository  Repository
	Project     Project
	Counterpart Fact[Counterpart]
	Branch      Fact[Branch]
	// Database is registry.database: the registry has its metadata database.
	Database Fact[bool]
}

// Tag is what rules know as tag.
type Tag struct {
	Name string
	// Kind is what the manifest says; absent where sources cannot tell kinds.
	Kind Fact[manifest.Kind]
	// Broken says that the tag points to a manifest that the registry does not have; absent
	// where sources cannot tell.
	Broken Fact[bool]
	// HasDetails says that GitLab has details of the tag when it is asked for it by name, or
	// would have by what the registry shows.
	HasDetails Fact[bool]
	// Dated says that the tag has a date by which GitLab's own policies could delete it.
	Dated Fact[bool]
	// Age is the time since the tag was pushed or what it points to was made; absent where
	// nothing says so.
	Age Fact[time.Duration]
	// Size is that of all that the manifest references, in bytes.
	Size Fact[int64]
	// Rank is 1 for the newest tag of the repository; absent for tags without a date.
	Rank Fact[int]
	// Protected says that a rule of the project in GitLab protects the tag.
	Protected Fact[bool]
	// InUse says that the user's lists or GitLab's environments name the tag or its digest.
	InUse Fact[bool]
	// IsCache says that the tag is a build cache of BuildKit's, in either form.
	IsCache Fact[bool]
}

// Repository is what rules know as repository.
type Repository struct {
	Name    string // below the project; empty for the project's root repository
	Path    string // full
	IsCache bool   // its name ends in the cache suffix
	// NamingDiffers says that a cache repository has five tags or more, its counterpart
	// repository has tags, and none of the names is in both; absent outside cache repositories.
	NamingDiffers Fact[bool]
}

// Project is what rules know as project.
type Project struct {
	Path   string
	Topics Fact[[]string]
}

// A Name is the name of a fact as rules write it.
type Name string

// The names of facts that may be unknown.
const (
	FactKind          Name = "tag.kind"
	FactBroken        Name = "tag.broken"
	FactHasDetails    Name = "tag.has_details"
	FactDated         Name = "tag.dated"
	FactAge           Name = "tag.age"
	FactSize          Name = "tag.size"
	FactRank          Name = "tag.rank"
	FactProtected     Name = "tag.protected"
	FactInUse         Name = "tag.in_use"
	FactIsCache       Name = "tag.is_cache"
	FactNamingDiffers Name = "repository.naming_differs"
	FactTopics        Name = "project.topics"
	FactCounterpart   Name = "counterpart"
	FactBranch        Name = "branch"
	FactDatabase      Name = "registry.database"
)

// IsUnknown reports whether a fact was not found out. What is no fact that may be unknown is not.
func (f *Facts) IsUnknown(name Name) bool {
	term := termOf(string(name))
	if term == nil || term.present == nil {
		return false
	}
	_, known := term.present(f).(types.Bool)
	return !known
}
