package main

import (
	"errors"
	"fmt"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/pipeline"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// The exit codes of the contract with users.
const (
	exitDone       = 0
	exitError      = 1
	exitUsage      = 2
	exitIncomplete = 3
	exitGuard      = 4
	exitSignal     = 128 // plus the signal's number
)

// exitCode returns the code for a run that ended with an error or nil. An interruption
// outweighs what it interrupted, and an error what was found before it.
func exitCode(err error, summary *report.Summary) int {
	if interrupted, ok := errors.AsType[*signalError](err); ok {
		return exitSignal + int(interrupted.signal)
	}
	if _, ok := errors.AsType[*pipeline.ScopeError](err); ok {
		return exitUsage
	}
	switch {
	case err != nil && !errors.Is(err, errMaxRuntime):
		return exitError
	case summary.Reasons[policy.OutageSuspected] > 0:
		return exitGuard
	case err != nil || summary.Undecided > 0 || summary.Failed > 0 || summary.Unreadable > 0:
		return exitIncomplete
	default:
		return exitDone
	}
}

// codeOf returns the code of a command that has nothing to report but an error.
func codeOf(err error) int {
	if err != nil {
		return exitError
	}
	return exitDone
}

// isStop reports whether an error is a run that was asked to end, and not one that
// failed.
func isStop(err error) bool {
	_, interrupted := errors.AsType[*signalError](err)
	return interrupted || errors.Is(err, errMaxRuntime)
}

// advice says what ended a run, and what to do about it.
func advice(err error) string {
	scope, isScope := errors.AsType[*pipeline.ScopeError](err)
	request, isRequest := errors.AsType[*gitlabapi.RequestError](err)
	switch {
	case err == nil:
		return ""
	case isScope && scope.Kind == "group":
		return "GITLAB_GROUPS: " + scope.Error()
	case isScope:
		return "GITLAB_PROJECTS: " + scope.Error()
	case errors.Is(err, gitlabapi.ErrUnauthorized):
		return "GitLab does not accept the token: GITLAB_TOKEN must be an access token with scope api that is neither expired nor revoked"
	case errors.Is(err, gitlabapi.ErrInsufficientScope):
		return "the token lacks a scope: GITLAB_TOKEN needs scope api to delete, read_api at least for a dry run"
	case isRequest && !isFormat(err):
		return fmt.Sprintf("cannot reach GitLab, check GITLAB_URL and the network: %v", request)
	default:
		return err.Error()
	}
}

// isFormat reports whether something answered that does not behave like GitLab; its
// error says so itself.
func isFormat(err error) bool {
	_, format := errors.AsType[*gitlabapi.FormatError](err)
	_, redirect := errors.AsType[*gitlabapi.RedirectError](err)
	_, listing := errors.AsType[*gitlabapi.ListingError](err)
	return format || redirect || listing
}
