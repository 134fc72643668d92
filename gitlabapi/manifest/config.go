package manifest

import (
	"errors"
	"time"
)

// Created reads the date out of a config, zero if it has none. A config that says the
// zero time has a date all the same; since the two could not be told apart, it is an
// error.
func Created(config []byte) (time.Time, error) {
	parsed, err := parseDocument(config)
	if err != nil {
		return time.Time{}, err
	}
	document, ok := parsed.(map[string]any)
	if !ok {
		return time.Time{}, errors.New("it is no object")
	}
	if document["created"] == nil {
		return time.Time{}, nil
	}
	text, _ := document["created"].(string)
	created, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || created.IsZero() {
		return time.Time{}, errors.New("its date cannot be read")
	}
	return created, nil
}
