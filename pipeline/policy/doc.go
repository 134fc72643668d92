// Package policy decides what is done with a tag: facts in, verdict out.
//
// [Rules.Decide] is pure. It sends nothing, knows no clock and has no state, so that the same
// facts give the same verdict at any time, in any order and on any number of workers. What was
// not observed is stated as such (see [Fact]). The package promises what the whole program
// rests on:
//
//   - every tag gets exactly one [Verdict];
//   - a protected name is kept whatever else is true;
//   - a doubt keeps the tag: making a known fact unknown never turns a verdict
//     into [Delete]. The one exception is the age of a cache, see [Facts].
//
// Decide also names the fact that could still change its verdict, so that a caller finds no fact
// that does not matter.
package policy
