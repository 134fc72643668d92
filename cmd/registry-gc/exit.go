package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/registry"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
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
// outweighs what it interrupted, and an error what was found before it. That a shard was
// interrupted leaves a merged run incomplete: merge itself had no signal.
func exitCode(err error, summary *report.Summary) int {
	if interrupted, ok := errors.AsType[*signalError](err); ok {
		return exitSignal + int(interrupted.signal)
	}
	switch {
	case err != nil && summary.ScopeMissing:
		return exitUsage
	case err != nil && !errors.Is(err, errMaxRuntime):
		return exitError
	case summary.Reasons[policy.OutageSuspected] > 0, summary.MaxDeletions > 0, summary.Refused != "":
		return exitGuard
	case err != nil || summary.Interrupted || summary.Undecided > 0 || summary.Failed > 0 || summary.Unreadable > 0:
		return exitIncomplete
	default:
		return exitDone
	}
}

// processCode returns the code that the process ends with: where a run is done but for something it may be
// another one, for schedules that are not to fail then. The metric keeps the contract's code, for alerts.
func (c *Config) processCode(code int) int {
	if code == exitIncomplete {
		return c.IncompleteExitCode
	}
	return code
}

// outcomeText says how a run ended that was not simply done, and what it means.
func outcomeText(code int, summary *report.Summary) string {
	switch {
	case summary.Error != "":
		return summary.Error
	case code == exitGuard && summary.MaxDeletions > 0:
		return fmt.Sprintf("more would be deleted (%d) than MAX_DELETIONS allows (%d): nothing was deleted; look at them, then raise the limit or run again without it",
			summary.Deleted, summary.MaxDeletions)
	case code == exitGuard && summary.Refused != "":
		return fmt.Sprintf("a guard stopped deletions: every one was refused with the same answer (%s), and %d tags were not tried; run again when that is over",
			summary.Refused, summary.Reasons[report.DeletionsStopped])
	case code == exitGuard:
		return fmt.Sprintf("a guard stopped deletions: tags look dead (%d), but so do healthy ones, or there was no healthy one to compare with; check the registry behind GitLab, then run again",
			summary.Reasons[policy.OutageSuspected])
	case code == exitIncomplete:
		return fmt.Sprintf("done, but for tags that are undecided (%d) or could not be deleted (%d), and groups, projects or repositories that could not be read (%d); the warnings above say why",
			summary.Undecided, summary.Failed, summary.Unreadable)
	default:
		return ""
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
	request, isRequest := errors.AsType[*throttle.RequestError](err)
	answer, answered := errors.AsType[*throttle.StatusError](err)
	_, untrusted := errors.AsType[x509.UnknownAuthorityError](err)
	_, noTLS := errors.AsType[tls.RecordHeaderError](err)
	noRegistry, outOfReach := errors.AsType[*pipeline.NoRegistryError](err)
	switch {
	case err == nil:
		return ""
	case outOfReach:
		return registryAdvice(noRegistry)
	case isScope && scope.Kind == "group":
		return "GITLAB_GROUPS: " + scope.Error() + scopeHint(scope)
	case isScope:
		return "GITLAB_PROJECTS: " + scope.Error() + scopeHint(scope)
	case errors.Is(err, throttle.ErrUnauthorized), errors.Is(err, registry.ErrDenied):
		return "GitLab does not accept the token (GITLAB_TOKEN): it is wrong, expired or revoked, or of another instance"
	case errors.Is(err, throttle.ErrInsufficientScope):
		return "the token lacks a scope: GITLAB_TOKEN needs scope api to delete; for a dry run read_api and read_registry are enough"
	case noTLS || errors.Is(err, http.ErrSchemeMismatch):
		return fmt.Sprintf("GitLab answers without TLS there: if the way to it is safe, GITLAB_URL must begin with http:// and not https://: %v", err)
	case untrusted:
		return fmt.Sprintf("cannot trust GitLab's certificate: %v", request)
	case answered && answer.Status >= http.StatusInternalServerError:
		return fmt.Sprintf("GitLab or a proxy in front of it is failing; token and settings may be right; run again when it has recovered: %v", err)
	case errors.Is(err, throttle.ErrForbidden):
		return fmt.Sprintf("GitLab does not allow this: has the token the scopes, and its user the role, and may this machine's IP address use the API? %v", err)
	case errors.Is(err, throttle.ErrNotFound):
		return fmt.Sprintf("is GITLAB_URL right, with its path if the instance has one? %v", err)
	case isRequest && !isFormat(err):
		return fmt.Sprintf("cannot reach GitLab, check GITLAB_URL and the network: %v", request)
	default:
		return err.Error()
	}
}

// registryAdvice says why the registry cannot be asked, and which setting mends it.
func registryAdvice(failure *pipeline.NoRegistryError) string {
	return fmt.Sprintf("the registry cannot be asked, and nothing is deleted without its answer (with VERIFY=api GitLab's is enough): %s: %v", registryMend(failure), failure.Err)
}

// registryMend says which setting mends that the registry cannot be asked.
func registryMend(failure *pipeline.NoRegistryError) string {
	_, address := errors.AsType[*registry.AddressError](failure)
	realm, otherRealm := errors.AsType[*registry.RealmError](failure)
	_, noTLS := errors.AsType[tls.RecordHeaderError](failure)
	_, untrusted := errors.AsType[x509.UnknownAuthorityError](failure)
	dns, named := errors.AsType[*net.DNSError](failure)
	answer, answered := errors.AsType[*throttle.StatusError](failure)
	_, redirected := errors.AsType[*throttle.RedirectError](failure)
	mend := "can this machine reach the registry there? If it has another address from here, set REGISTRY_URL to it"
	switch {
	case address && failure.Address == "":
		mend = "GitLab does not say where its registry is: set REGISTRY_URL to its address"
	case address:
		mend = "set REGISTRY_URL to the registry's address, such as https://registry.example.com"
	case errors.Is(failure, registry.ErrMayNotPull):
		mend = "GITLAB_TOKEN may not pull: it needs the scope read_registry besides read_api, or the scope api alone; a fine-grained token needs Container Repository: Read"
	case otherRealm && realm.OnlySchemeDiffers():
		mend = "GITLAB_URL and the registry name GitLab with different schemes (http, https): correct GITLAB_URL, or the token realm in the registry's configuration"
	case otherRealm && realm.Instance() != "":
		mend = "the token is sent to GITLAB_URL only: if " + realm.Instance() + " is the same GitLab, set GITLAB_URL to that address; else set REGISTRY_URL to a registry of this GitLab"
	case otherRealm:
		mend = "set REGISTRY_URL to a registry of this GitLab"
	case noTLS:
		mend = "it speaks HTTP without TLS there: if the network to it is safe, set REGISTRY_URL to http://" + hostOf(failure.Address)
	case untrusted:
		mend = "the registry's certificate is signed by an authority that this machine does not know (SSL_CERT_FILE)"
	case named && dns.IsNotFound:
		mend = "this machine cannot resolve the name: set REGISTRY_URL to the address that the registry has from here"
	case answered && strings.HasPrefix(answer.Path, registry.OwnAPI):
		mend = "the registry has a metadata database, whose lists are below " + registry.OwnAPI + ": a proxy in front of it must let that through, or set REGISTRY_URL to an address that does"
	case answered && strings.HasSuffix(answer.Path, "/jwt/auth"):
		mend = "a proxy or firewall in front of GitLab must let " + answer.Path + " through, which issues the registry's tokens"
	case answered && answer.Status >= http.StatusInternalServerError:
		mend = "the registry, or a proxy in front of it, is failing: run again when it has recovered"
	case redirected || isFormat(failure):
		mend = "set REGISTRY_URL to the address of GitLab's registry itself"
	}
	return mend
}

// hostOf returns an address without its scheme.
func hostOf(address string) string {
	if _, host, ok := strings.Cut(address, "://"); ok {
		return host
	}
	return address
}

// scopeHint returns what is likely to be wrong with a name that GitLab does not know.
func scopeHint(scope *pipeline.ScopeError) string {
	switch {
	case strings.Contains(scope.Name, "://"):
		return "; give a full path, such as acme/shop, or an id, not an address"
	case strings.HasPrefix(scope.Name, "/"), strings.HasSuffix(scope.Name, "/"):
		return "; a full path neither begins nor ends with /"
	case strings.HasSuffix(scope.Name, ".git"):
		return "; a full path does not end in .git"
	case scope.Kind == "group" && strings.Contains(scope.Name, "/"):
		return "; if it is a project, it goes into GITLAB_PROJECTS"
	case scope.Kind == "project":
		return "; if it is a group, it goes into GITLAB_GROUPS"
	default:
		return ""
	}
}

// isFormat reports whether something answered that does not behave like GitLab; its
// error says so itself.
func isFormat(err error) bool {
	_, format := errors.AsType[*throttle.FormatError](err)
	_, redirect := errors.AsType[*throttle.RedirectError](err)
	_, listing := errors.AsType[*throttle.ListingError](err)
	return format || redirect || listing
}
