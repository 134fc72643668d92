// Package bench compares the program with the sequential algorithm that it replaces,
// over the stand-in, which counts what both of them ask.
package bench
