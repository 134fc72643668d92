package policy

import (
	_ "embed"
	"sync"
)

var (
	//go:embed guards.yaml
	guardsText []byte
	//go:embed default.yaml
	defaultText []byte
	//go:embed original.yaml
	originalText []byte

	guards       = sync.OnceValue(func() *File { return mustParse("guards", guardsText) })
	defaultRules = sync.OnceValue(func() *File { return mustParse("default", defaultText) })
	original     = sync.OnceValue(func() *File { return mustParse("original", originalText) })
)

// Guards are the rules that stand above those of any file.
func Guards() *File { return guards() }

// Default are the rules of who does not choose others.
func Default() *File { return defaultRules() }

// Original are the rules of the script that came before the program.
func Original() *File { return original() }

// mustParse parses a file that is part of the program.
func mustParse(name string, text []byte) *File {
	file, err := Parse(name, text)
	if err != nil {
		panic(err)
	}
	return file
}
