package gitlabtest

import "github.com/graph-gophers/graphql-go"

// CurrentUser resolves Query.currentUser: whoever has a token that is let in.
func (graphqlRoot) CurrentUser() *currentUser { return &currentUser{} }

// currentUser is a CurrentUser.
type currentUser struct{}

// ID resolves id.
func (*currentUser) ID() graphql.ID { return graphql.ID(globalID("User", 1)) }
