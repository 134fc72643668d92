// Registry-gc removes dead tags from GitLab's container registry: build caches whose
// image is gone, and tags that GitLab cannot show and its cleanup policies therefore
// never touch.
//
// It runs once and ends. It is configured by environment variables or flags, which
// registry-gc --help lists; logs go to standard error, the summary alone to standard
// output.
//
// Several processes can share the projects of an instance among them; registry-gc merge
// then makes one report out of theirs. registry-gc explain shows why one tag is
// deleted or kept, and registry-gc rules by which rules; registry-gc undo brings deleted tags back.
//
// # Exit codes
//
//	0      done
//	1      stopped by an error that ends a run
//	2      bad configuration or usage
//	3      done, but some tags are undecided or failed, something could not be
//	       read, or MAX_RUNTIME was over (or INCOMPLETE_EXIT_CODE)
//	4      a guard stopped the deletions: the registry seems to be failing, every
//	       deletion is refused alike, or more tags would have been
//	       deleted than MAX_DELETIONS allows
//	128+n  interrupted by signal n (SIGHUP, SIGINT, SIGTERM); a second signal
//	       ends the program at once
package main
