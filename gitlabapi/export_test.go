package gitlabapi

// Classes of errors, for the tests that use the stand-in.
var (
	ErrNoGraphQL  = errNoGraphQL
	ErrTooComplex = errTooComplex
)
