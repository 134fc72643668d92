package plan

import "os"

// Swap has a journal write to another file, until the returned function is called.
func Swap(j *Journal, other *os.File) (restore func()) {
	file := j.file
	j.file = other
	return func() { j.file = file }
}
