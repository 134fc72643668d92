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

	guards       = sync.OnceValue(func() *File { return must(parse("guards", guardsText, nil)) })
	defaultRules = sync.OnceValue(func() *File { return must(Parse("default", defaultText)) })
	original     = sync.OnceValue(func() *File { return must(Parse("original", originalText)) })
)

// Guards are the rules that stand above those of any file.
func Guards() *File { return guards() }

// Default are the rules of who does not choose others.
func Default() *File { return defaultRules() }

// Original are the rules of the script that came before the program.
func Original() *File { return original() }

// must returns a file that is part of the program.
func must(file *File, err error) *File {
	if err != nil {
		panic(err)
	}
	return file
}
