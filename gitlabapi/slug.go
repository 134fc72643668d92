package gitlabapi

import "strings"

// maxSlug is the length of the longest slug, in bytes.
const maxSlug = 63

// Slug returns what GitLab makes of the name of a branch or a Git tag in CI_COMMIT_REF_SLUG, which
// pipelines name their images by: in lower case, each character but a to z and 0 to 9 replaced by
// a hyphen, cut, and without hyphens at either end. It may be empty.
func Slug(ref string) string {
	// Ruby writes the capital that Turkish has with a dot as two characters.
	ref = strings.ToLower(strings.ReplaceAll(ref, "İ", "i-"))
	slug := strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || '0' <= r && r <= '9' {
			return r
		}
		return '-'
	}, ref)
	return strings.Trim(slug[:min(len(slug), maxSlug)], "-")
}
