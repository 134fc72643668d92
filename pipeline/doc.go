// Package pipeline walks a GitLab instance, decides on every tag of its container
// registry, and deletes the dead ones.
//
//	projects ─▶ repositories ─▶ tags ─▶ classify ─▶ plan ─▶ delete ─▶ events
//
// Each stage is a pool of goroutines, joined to the next by a bounded channel: a full
// channel holds its senders back, so that memory depends on the pools and on the
// largest repository in flight, not on the instance. A stage is in the file of its
// name; engine.go alone starts goroutines and closes channels.
//
// A tag travels in three forms, none of which is changed once it is made: a [tag] is what a
// listing says, a [decision] what was found out and decided, a [candidate] what is to be
// deleted and why.
//
// # Decide
//
// The rules name the fact that their verdict lacks, and a [source] finds it: GitLab's API or the
// registry, on an instance with or without the registry's metadata database. Which it is,
// [sources] finds out once a run; everything else is the same for the four of them. What no source
// says of a single tag (its counterpart, its branch, its rank, whether it is in use) is in facts.go.
//
// Verdicts rest on the instance as it was before the run's own deletions. A repository's tags
// are sent on only when its listing has ended, a listing that others need for their counterparts
// is read once and shared, and what the run deletes counts as present in it. So the same instance
// gives the same verdicts whatever the timing and the number of workers.
//
// # Plan
//
// What GitLab answers for many in one request is asked for many: projects come in pages, and
// their repositories for a page of projects. So are deletions: the [planner] collects candidates
// and hands a [deleter] full requests. What looks the same in an outage it holds until the
// [canary] has seen all tags.
//
// # Delete
//
// Before a deletion its grounds are read afresh and decided upon again; only what is to go again
// goes. Grounds are good for ten seconds from when the first request for them was sent:
// a deletion that could not be sent by then starts again. All that happens in a dry run, too: it
// shows what a real run would do. What GitLab does not confirm as deleted by its name does not
// count as deleted.
//
// # Stop
//
// A stop (a signal, a time limit, a token that is not accepted) cancels what the run reads. The
// stages go on reading their input: what is in the channels is reported as undecided, for its
// facts can no longer be had. So every tag of which the instance was asked before the stop has
// its decision. Only deletions already sent may finish; after [Options.Grace] they are cut off,
// too, and reported as sent and not confirmed.
//
// # Undo
//
// [Undo] takes deletions back that a journal tells of: it reads what a tag pointed to by its digest, looks
// whether there is no such tag, sets it, and reads it again. A registry sets a tag whatever that names by
// then, so that nothing lies between the look and the push, no push is older than ten seconds after its look
// or sent twice, and every further attempt begins with another look.
package pipeline
