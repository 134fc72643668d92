// Package gitlabapi is all that speaks HTTP to GitLab. Its [Client] has a method for
// each thing that the program needs to ask or to do, and promises for all of them:
//
//   - every attempt of every request pays one token to one rate limiter, and none is
//     sent while the server has asked everybody to wait (429 or Retry-After);
//   - what GitLab says is left of its limits is made to last until they begin anew;
//   - requests are sent in the order in which they come, whatever they are;
//   - what may be repeated is repeated after failures that pass, nothing else is;
//   - a listing is returned whole or with an error, never silently short;
//   - redirects and page links that lead to another host are refused;
//   - errors are typed and bounded, say what was asked, and never hold a token.
//
// GraphQL says in one answer what REST says in many. It is asked for projects, for the
// repositories of several, and to delete tags of several repositories; what it does not
// give whole comes over REST, and so does everything where it is not to be had.
//
// A [Registry] asks the container registry of the instance in the same way, with the
// token that the instance's own /jwt/auth gives for it; nobody else is shown the access
// token. [Classify] tells what a tag is from the bytes of its manifest.
//
// A request goes through these layers, outermost first: the retries, in GitLab's own
// client or beside it, the refusal of redirects, then [transport]: the gate (pause,
// Concurrency, GitLab's limits and our own), the timeout of one attempt, and the network.
package gitlabapi
