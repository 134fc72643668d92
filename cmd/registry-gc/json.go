package main

import (
	"encoding/json"
	"io"

	"gitlab.com/registry-gc/registry-gc/internal/printable"
)

// writeJSON prints a value as JSON for programs, in which no character hides that would steer a terminal.
func writeJSON(w io.Writer, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(printable.JSON(text), '\n'))
	return err
}
