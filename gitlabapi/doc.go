// Package gitlabapi asks GitLab's REST and GraphQL APIs what this program needs, by name. Its
// [Client] sends everything through a [throttle.Client], whose promises are its own, and adds:
//
//   - a listing is returned whole or with an error, never silently short;
//   - page links that lead to another host are refused;
//   - what GraphQL does not give whole comes over REST, and so does everything where GraphQL is
//     not to be had. It says in one answer what REST says in many, and is asked for projects,
//     for the repositories of several, and to delete tags of several repositories.
package gitlabapi
