package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"
)

// An Entry is a tag that is to be deleted, or was.
type Entry struct {
	Project      string    `json:"project"` // full path
	ProjectID    int64     `json:"project_id"`
	Repository   string    `json:"repository"` // full path
	RepositoryID int64     `json:"repository_id"`
	Tag          string    `json:"tag"`
	Digest       string    `json:"digest,omitempty"`     // of its manifest; "" where it is not known
	MediaType    string    `json:"media_type,omitempty"` // of its manifest; "" where it is not known
	Reason       string    `json:"reason"`               // the name of the rule
	Kind         string    `json:"kind,omitempty"`       // of its manifest; "" where it is not known
	Bytes        int64     `json:"bytes,omitempty"`      // of what it references; 0 where they are not known
	Made         time.Time `json:"made,omitzero"`        // when it was pushed, or what it points to was made
	RestsOn      string    `json:"rests_on,omitempty"`   // for people
	// CounterpartEmpty says that the repository without the suffix had no tags at all.
	CounterpartEmpty bool `json:"counterpart_empty,omitempty"`
}

// A Key tells the tags of plans apart.
type Key struct {
	RepositoryID int64
	Tag          string
}

// Key returns what the tag of an entry is known by.
func (e Entry) Key() Key { return Key{e.RepositoryID, e.Tag} }

// errIncomplete says that an entry lacks what a tag is found by.
var errIncomplete = errors.New("it lacks project, repository or tag")

// Check makes sure that an entry says which tag it is about.
func (e Entry) Check() error {
	if e.Project == "" || e.ProjectID <= 0 || e.Repository == "" || e.RepositoryID <= 0 || e.Tag == "" {
		return errIncomplete
	}
	return nil
}

// A Rules names the rules by which a plan was made, or a run deleted.
type Rules struct {
	Name string `json:"name"`
	Hash string `json:"hash"` // of their text with the settings in it
}

// seal returns the seal of a line: what it says, of which instance.
func seal(instance string, line any) (string, error) {
	text, err := json.Marshal(line)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte("registry-gc plan\n" + instance + "\n" + string(text)))
	return hex.EncodeToString(sum[:8]), nil
}
