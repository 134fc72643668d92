// Package policy decides what is done with a tag: facts in, verdict out.
//
// [Rules.Decide] is pure. It sends nothing, knows no clock and has no state, so that the same
// facts give the same verdict at any time, in any order and on any number of workers. What was
// not observed is stated as such (see [Fact]). The package promises what the whole program
// rests on:
//
//   - every tag gets exactly one [Verdict];
//   - what the [Guards] are about is kept whatever else is true and whatever a file says;
//   - a doubt keeps the tag: making a known fact unknown never turns a verdict
//     into [Delete], and a condition that fails keeps.
//
// Decide also names the fact that could still change its verdict, so that a caller finds no fact
// that does not matter.
//
// Rules are data: a [File] of YAML, with conditions in CEL. Compile types and folds them once, with
// the user's [Settings] in them as constants. A fact that is unknown is an unknown of CEL's, which
// goes through a condition unless what it is part of is decided without it; an absent fact is an
// error unless has() asks for it.
package policy
