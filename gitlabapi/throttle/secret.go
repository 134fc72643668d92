package throttle

import "strings"

// redacted stands wherever a secret would have been shown.
const redacted = "[redacted]"

// A Secret is a string that does not show itself: not in logs, not in errors, not
// in any verb of package fmt, not in JSON or text encodings. Two of them are compared
// by what they reveal, never with ==.
type Secret struct {
	// A pointer, since package fmt shows the fields of a struct without asking its
	// methods where it stands in an unexported field, or for a verb such as %d.
	value *string
}

// NewSecret hides a value. Space around it is dropped, since files and CI variables
// tend to end in a line break.
func NewSecret(value string) Secret {
	value = strings.TrimSpace(value)
	return Secret{&value}
}

// Reveal returns the value. It is for the header of a request, nothing else.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsZero reports whether there is no value.
func (s Secret) IsZero() bool { return s.Reveal() == "" }

// String implements [fmt.Stringer].
func (s Secret) String() string { return redacted }

// MarshalText implements [encoding.TextMarshaler], which JSON and package slog ask, too.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *Secret) UnmarshalText(text []byte) error {
	*s = NewSecret(string(text))
	return nil
}

// scrub removes the secret from a text of the server, which may have echoed it.
func (s Secret) scrub(text string) string {
	if s.IsZero() {
		return text
	}
	return strings.ReplaceAll(text, s.Reveal(), redacted)
}
