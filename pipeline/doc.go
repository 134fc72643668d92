// Package pipeline walks a GitLab instance, decides on every tag of its container
// registry, and deletes the dead ones.
//
//	projects ─▶ repositories ─▶ tags ─▶ inspect ─▶ classify ─▶ delete ─▶ events
//
// Each stage is a pool of goroutines, joined to the next by a bounded channel: a full
// channel holds its senders back, so that memory depends on the pools and on the
// largest repository in flight, not on the instance. A stage lives in the file of its
// name; engine.go alone starts goroutines and closes the channels between stages.
//
// # Order
//
// Verdicts rest on the instance as it was before the run's own deletions. A
// repository's tags travel on only when its listing has ended, a listing that others
// need for their counterparts is read once and shared, and what the run deletes counts
// as present in it. So the same instance gives the same verdicts whatever the timing
// and the number of workers.
//
// # Evidence
//
// Facts come from an [evidence]: GitLab's API or the registry itself, each in its way on
// an instance with or without the registry's metadata database. Which it is, chooser
// finds out once a run; everything else is the same for all of them.
//
// # Economy
//
// What GitLab answers for many in one request is asked for many: projects come in pages,
// and their repositories for a page of projects. Dead tags of a repository leave the
// classifier in batches of up to twenty, as many as GitLab deletes at a time, when a
// batch is full or its repository has no more; batches that meet at the deleter are
// confirmed, and deleted in one request, as a parcel.
//
// # The last moment
//
// Before a deletion its grounds are read afresh and decided upon again; only the same
// verdict stands. A confirmation is good for some seconds: a deletion that could not be
// sent by then is confirmed again. All that happens in a dry run, too: it shows what a
// real run would do. What GitLab does not confirm as deleted by its name does not count
// as deleted.
//
// # Stopping
//
// A stop (a signal, a time limit, a token that is not accepted) cancels what the run
// reads. The stages go on draining: what is in the pipe is reported as undecided, for
// its facts can no longer be had. So every tag of which the instance was asked before
// the stop has its decision. Only deletions already sent may finish; after
// [Options.Grace] they are cut off, too.
package pipeline
