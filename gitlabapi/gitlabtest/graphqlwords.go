package gitlabtest

import (
	"fmt"
	"regexp"

	"github.com/graph-gophers/graphql-go/errors"
)

// wording says of one kind of error how GitLab puts it.
type wording struct {
	said *regexp.Regexp
	form string // of what was found in said
	code string
}

// wordings are the errors that a client may have to tell apart: they say that
// an instance is older than the query.
var wordings = []wording{
	{regexp.MustCompile(`^Cannot query field "(\w+)" on type "(\w+)"`), "Field '%s' doesn't exist on type '%s'", "undefinedField"},
	{regexp.MustCompile(`^Unknown argument "(\w+)" on field "\w+\.(\w+)"`), "Field '%[2]s' doesn't accept argument '%[1]s'", "argumentNotAccepted"},
}

// inGitLabsWords rewrites what the library says.
func inGitLabsWords(problems []*errors.QueryError) []*errors.QueryError {
	for _, problem := range problems {
		for _, w := range wordings {
			if found := w.said.FindStringSubmatch(problem.Message); found != nil {
				problem.Message = fmt.Sprintf(w.form, found[1], found[2])
				problem.Extensions = map[string]any{"code": w.code}
			}
		}
	}
	return problems
}
