package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"gitlab.com/registry-gc/registry-gc/internal/edits"
	"gitlab.com/registry-gc/registry-gc/pipeline/inuse"
)

// inUseEnvironments is the word in IN_USE that stands for what GitLab's environments have
// deployed. A file of that name is ./environments.
const inUseEnvironments = "environments"

// asksEnvironments reports whether IN_USE has that word.
func (c *Config) asksEnvironments() bool { return slices.Contains(c.InUse, inUseEnvironments) }

// readInUse reads the lists that IN_USE names; nil if there are none. All that is wrong is in
// the error, each a [*problem]: without one of its lists a run would delete what is in use.
func (c *Config) readInUse(stdin io.Reader) (*inuse.List, error) {
	var lists []*inuse.List
	var problems []error
	for _, name := range c.InUse {
		if name == inUseEnvironments {
			continue
		}
		list, err := readList(name, stdin)
		if err != nil {
			problems = append(problems, &problem{"IN_USE", err.Error() + hintForList(name, err)})
		}
		lists = append(lists, list)
	}
	if len(lists) == 0 || len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return inuse.Join(lists...), nil
}

// hintForList says what may have been meant by a file that is not there.
func hintForList(name string, err error) string {
	if errors.Is(err, fs.ErrNotExist) && edits.Between(strings.ToLower(name), inUseEnvironments) <= 2 {
		return "; did you mean environments?"
	}
	return ""
}

// readList reads a list from a file, or from standard input where that is called -.
func readList(name string, stdin io.Reader) (*inuse.List, error) {
	if name == "-" {
		return inuse.Parse(stdin, "standard input")
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close() // only read
	return inuse.Parse(file, name)
}

// isRules reports whether a value of RULES is the name of a set of rules, or of a file. The
// file is not read here, as it may be a pipe, which can be read once.
func isRules(value string) bool {
	return value == "default" || value == "original" || rulesFileError(value) == nil
}

// rulesFileError returns why a file of rules cannot be one.
func rulesFileError(name string) error {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return errors.New("it is a folder")
	case !info.Mode().IsRegular():
		return nil
	}
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	return file.Close()
}
