package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// sequential is the algorithm that the program replaces. It makes one request after the
// other, at least one for every tag, and for every cache tag that may be an orphan it lists
// the project's repositories and the counterpart's tags again. It believes every answer.
type sequential struct {
	client  *gitlabapi.Client
	rules   policy.Rules
	regime  policy.Fact[policy.Regime]
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
	s := &sequential{client: client, rules: defaultRules(), regime: policy.Known(policy.Legacy)}
	if regime == policy.Database.String() {
		s.regime = policy.Known(policy.Database)
	}
	if err := s.run(ctx); err != nil {
		return fmt.Errorf("walking sequentially: %w", err)
	}
	return json.NewEncoder(to).Encode(summary{Tags: s.tags, Deleted: s.deleted})
}

// defaultRules are the program's rules with its default settings.
func defaultRules() policy.Rules {
	return policy.Rules{
		ProtectedNames:   []string{"latest", "master", "main"},
		ProtectedPattern: regexp.MustCompile(`^v.*\..*\..*`),
		CacheSuffix:      ".cache",
		Orphans:          policy.OrphansAuto,
	}
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

// tag decides by the program's own rules, so that both come to the same verdicts.
func (s *sequential) tag(ctx context.Context, repository gitlabapi.Repository, name string) error {
	s.tags++
	if s.rules.Protects(name) {
		return nil
	}
	facts := policy.Facts{Repository: repository.Name, Tag: name, Listed: true, Regime: s.regime}
	details, err := s.client.TagDetails(ctx, repository, name)
	missing := errors.Is(err, gitlabapi.ErrTagNotFound)
	if err != nil && !missing {
		return err
	}
	facts.Missing = policy.Known(missing)
	if !missing {
		facts.Dated = policy.Known(details.Dated)
	}
	verdict, need := s.rules.Decide(facts)
	if verdict.Action == policy.Undecided && need == policy.NeedCounterpart {
		counterpart, _ := s.rules.CounterpartOf(repository.Name)
		if facts.Counterpart, err = s.counterpart(ctx, repository.ProjectID, counterpart, name); err != nil {
			return err
		}
		verdict, _ = s.rules.Decide(facts)
	}
	if verdict.Action != policy.Delete {
		return nil
	}
	s.deleted++
	return s.client.DeleteTag(ctx, ctx, repository, name)
}

// counterpart looks for the image of a cache by listing everything again.
func (s *sequential) counterpart(ctx context.Context, project int64, repository, tag string) (policy.Fact[policy.Counterpart], error) {
	repositories, err := s.client.ProjectRepositories(ctx, project)
	if err != nil {
		return policy.Unknown[policy.Counterpart](), err
	}
	for _, candidate := range repositories {
		if candidate.Name != repository {
			continue
		}
		if candidate.Deleting {
			return policy.Known(policy.CounterpartPresent), nil
		}
		tags, err := s.client.Tags(ctx, candidate)
		if err != nil {
			return policy.Unknown[policy.Counterpart](), err
		}
		for _, there := range tags {
			if there.Name == tag {
				return policy.Known(policy.CounterpartPresent), nil
			}
		}
		return policy.Known(policy.CounterpartTagMissing), nil
	}
	return policy.Known(policy.CounterpartRepositoryMissing), nil
}
