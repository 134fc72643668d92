// Package plan holds the two files by which people have deletions in their hands: the plan,
// which says what would be deleted and may be applied later, and the journal, which says what was
// deleted and lets it be brought back.
//
// Both are JSON lines: a header, then a line for each tag. A line is an [Entry]; those of a
// journal also say when, and whether a deletion is about to be sent, was done or has failed.
//
// A plan may lose lines, by hand or in the report, and may change in no other way: each line
// carries a seal over what it says and over the instance that it is of. A seal shows mistakes, and
// keeps nobody out who means harm: an entry only narrows what a run may delete, since the rules
// have to say the same of the tag once more.
//
// A journal is written to be complete rather than fast: a deletion may be sent when its lines
// are on the disk.
package plan
