//go:build race

package main

// The programs are built with the race detector when the tests are.
func init() { withRace = true }
