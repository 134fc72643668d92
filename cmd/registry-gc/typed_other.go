//go:build !linux && !darwin

package main

import "os"

// discardTyped does nothing here: what was typed too early is read as an answer.
func discardTyped(*os.File) {}
