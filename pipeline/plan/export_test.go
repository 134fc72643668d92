package plan

import "os"

// Swap has a journal write to another file, until the returned function is called.
func Swap(j *Journal, other *os.File) (restore func()) {
	out := j.out
	j.out = other
	return func() { j.out = out }
}
