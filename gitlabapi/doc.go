// Package gitlabapi asks GitLab's REST and GraphQL APIs what this program needs, by name. Its
// [Client] sends everything through a [throttle.Client], whose promises are its own, and adds:
//
//   - a listing is returned whole or with an error, never silently short;
//   - page links that lead to another host are refused;
//   - GraphQL says in one answer what REST says in many: it is asked for projects, for the
//     repositories of several, and to delete tags of several repositories. What it does not give
//     whole comes over REST, and everything where it is not available;
//   - what is not known is never told as absent: the zero [Protection] protects everything, and
//     the zero [References] lack nothing.
package gitlabapi
