package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

// sequential is the algorithm that the program replaces. It makes one request after the
// other, at least one for every tag, and for every cache tag that may be an orphan it lists
// the project's repositories and the counterpart's tags again. It believes every answer.
type sequential struct {
	client *gitlabapi.Client
	// database says that the registry has its metadata database: there each cache without image
	// goes, with or without a date, as the program has it.
	database bool
	// dryRun, if not nil, is told what would be deleted, and nothing is.
	dryRun  func(repository, tag string)
	tags    int
	deleted int
}

// runSequential walks an instance and prints how many tags it saw and deleted, as JSON with
// the names that the program's own summary has.
func runSequential(ctx context.Context, url, regime string, to io.Writer) error {
	client, err := gitlabapi.New(gitlabapi.Config{URL: url, Token: throttle.NewSecret(token), Concurrency: 1})
	if err != nil {
		return err
	}
	s := &sequential{client: client, database: regime == gitlabtest.Database.String()}
	if err := s.run(ctx); err != nil {
		return fmt.Errorf("walking sequentially: %w", err)
	}
	return json.NewEncoder(to).Encode(summary{Tags: s.tags, Deleted: s.deleted})
}

var (
	protectedNames   = []string{"latest", "master", "main"}
	protectedPattern = regexp.MustCompile(`^v.*\..*\..*`)
)

// isProtected reports whether a tag is never touched.
func isProtected(tag string) bool {
	return slices.Contains(protectedNames, tag) || protectedPattern.MatchString(tag)
}

func (s *sequential) run(ctx context.Context) error {
	for project, err := range s.client.Projects(ctx, false) {
		if err != nil {
			return err
		}
		if project.Archived || !project.Registry {
			continue
		}
		if err := s.project(ctx, project); err != nil {
			return err
		}
	}
	return nil
}

func (s *sequential) project(ctx context.Context, project gitlabapi.Project) error {
	repositories, err := s.client.ProjectRepositories(ctx, project.ID)
	if err != nil {
		return err
	}
	for _, repository := range repositories {
		if repository.Deleting {
			continue
		}
		tags, err := s.client.Tags(ctx, repository)
		if err != nil {
			return err
		}
		for _, tag := range tags {
			if err := s.tag(ctx, repository, tag.Name); err != nil {
				return err
			}
		}
	}
	return nil
}

// tag decides by the rules of the script, but for the dates where there is a database.
func (s *sequential) tag(ctx context.Context, repository gitlabapi.Repository, name string) error {
	s.tags++
	if isProtected(name) {
		return nil
	}
	details, err := s.client.TagDetails(ctx, repository, name)
	missing := errors.Is(err, gitlabapi.ErrTagNotFound)
	if err != nil && !missing {
		return err
	}
	dead := missing
	if counterpart, isCache := strings.CutSuffix(repository.Name, ".cache"); !missing && isCache && (s.database || !details.Dated) {
		there, err := s.counterpart(ctx, repository.ProjectID, counterpart, name)
		if err != nil {
			return err
		}
		dead = !there
	}
	if !dead {
		return nil
	}
	s.deleted++
	if s.dryRun != nil {
		s.dryRun(repository.Path, name)
		return nil
	}
	return s.client.DeleteTag(ctx, ctx, repository, name)
}

// counterpart looks for the image of a cache by listing everything again.
func (s *sequential) counterpart(ctx context.Context, project int64, repository, tag string) (bool, error) {
	repositories, err := s.client.ProjectRepositories(ctx, project)
	if err != nil {
		return false, err
	}
	for _, candidate := range repositories {
		if candidate.Name != repository {
			continue
		}
		if candidate.Deleting {
			return true, nil
		}
		tags, err := s.client.Tags(ctx, candidate)
		return slices.ContainsFunc(tags, func(there gitlabapi.Tag) bool { return there.Name == tag }), err
	}
	return false, nil
}
