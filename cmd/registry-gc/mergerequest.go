package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/sethvargo/go-envconfig"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// noteTimeout is how long all requests for a note may take together, unless REQUEST_TIMEOUT is less: the job
// is done, and its end should not wait for a comment.
const noteTimeout = 10 * time.Second

// A ciJob is what GitLab says in the environment about the job that a run is; empty where it is none.
type ciJob struct {
	instance     string // its address
	name         string
	project      string // of the merge request, by id
	mergeRequest string // by its number in the project; empty in a pipeline of no merge request
}

func ciJobOf(environment envconfig.Lookuper) ciJob {
	value := func(name string) string { value, _ := environment.Lookup(name); return value }
	if value("GITLAB_CI") != "true" {
		return ciJob{}
	}
	return ciJob{
		instance:     value("CI_SERVER_URL"),
		name:         value("CI_JOB_NAME"),
		project:      cmp.Or(value("CI_MERGE_REQUEST_PROJECT_ID"), value("CI_PROJECT_ID")),
		mergeRequest: value("CI_MERGE_REQUEST_IID"),
	}
}

// writeNote puts the summary on the merge request whose pipeline this run is in, if that is wanted. A note that
// cannot be written is a warning, and the exit code remains that of the run. After a signal there is no time
// for one.
func (j *job) writeNote(untilSignal context.Context, client *gitlabapi.Client, summary *report.Summary, files *report.Files) {
	switch {
	case !j.config.MergeRequestNote:
		return
	case j.ci.mergeRequest == "":
		j.log.Debug("no note is written: this is no job of a merge request")
		return
	case untilSignal.Err() != nil:
		j.log.Debug("no note is written after a signal")
		return
	}
	limit := min(noteTimeout, time.Duration(j.config.RequestTimeout))
	ctx, cancel := context.WithTimeout(untilSignal, limit)
	defer cancel()
	to, err := j.ci.noteOn(j.config.GitLabURL)
	updated := false
	if err == nil {
		updated, err = client.WriteNote(ctx, to, j.noteBody(summary, files))
	}
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded) && err != nil:
		err = fmt.Errorf("it took longer than %v: %w", limit, err)
	case errors.Is(err, throttle.ErrInsufficientScope):
		err = fmt.Errorf("the token needs scope api for that: %w", err)
	}
	if err != nil {
		j.log.Warn("the merge request got no note", "error", err)
		return
	}
	j.log.Info("the summary is a note on the merge request", "merge_request", to.IID, "project_id", to.ProjectID, "updated", updated)
}

// noteOn returns the job's merge request, if it is one of the instance that the run was about: on another one
// the same numbers are somebody else's.
func (c ciJob) noteOn(gitlabURL string) (to gitlabapi.MergeRequest, err error) {
	if !sameInstance(c.instance, gitlabURL) {
		return to, errors.New("it is one of the instance that CI_SERVER_URL names, and GITLAB_URL names another")
	}
	var iidErr, projectErr error
	to.IID, iidErr = strconv.ParseInt(c.mergeRequest, 10, 64)
	to.ProjectID, projectErr = strconv.ParseInt(c.project, 10, 64)
	switch {
	case iidErr != nil || to.IID < 1:
		return to, errors.New("CI_MERGE_REQUEST_IID is not its number")
	case projectErr != nil || to.ProjectID < 1:
		return to, errors.New("neither CI_MERGE_REQUEST_PROJECT_ID nor CI_PROJECT_ID is the number of its project")
	}
	return to, nil
}

// notInMarker is what the name of a job may have that could end a comment of HTML, or be markup.
var notInMarker = regexp.MustCompile(`[^A-Za-z0-9_.: -]`)

// noteBody returns the summary as a note, with the job's name in a first line that nobody sees: each job of a
// pipeline has a note of its own.
func (j *job) noteBody(summary *report.Summary, files *report.Files) string {
	var body bytes.Buffer
	sum := sha256.Sum256([]byte(j.ci.name)) // names that differ may look alike without what a comment cannot have
	fmt.Fprintf(&body, "<!-- registry-gc: %s %x -->\n\n", notInMarker.ReplaceAllString(j.ci.name, ""), sum[:4])
	_ = summary.WriteMarkdown(&body, report.Text{Files: files}) // a buffer takes all
	return cutNote(string(j.redactor.Bytes(body.Bytes())), gitlabapi.MaxNote)
}

// cutNote returns a note of so many bytes at most, of whole lines.
func cutNote(body string, most int) string {
	const rest = "\n\nThe rest is left out: the note would be too long.\n"
	if len(body) <= most {
		return body
	}
	body = body[:most-len(rest)]
	return body[:max(strings.LastIndexByte(body, '\n'), 0)] + rest
}
