package main

import (
	"time"

	"gitlab.com/registry-gc/registry-gc/pipeline"
	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
	"gitlab.com/registry-gc/registry-gc/pipeline/report"
)

// An explanation is what explain prints for programs.
type explanation struct {
	Project     string            `json:"project"`
	Repository  string            `json:"repository"`
	Tag         string            `json:"tag"`
	Action      policy.Action     `json:"action"` // what a run would do
	Reason      policy.Reason     `json:"reason,omitempty"`
	Description string            `json:"description,omitempty"`
	Skipped     report.SkipReason `json:"skipped,omitempty"` // why a run does not look at it
	Doubt       string            `json:"doubt,omitempty"`
	Facts       []explainedFact   `json:"facts,omitempty"`
	Rules       []explainedRule   `json:"rules,omitempty"`
}

type explainedFact struct {
	Name  policy.Name        `json:"name"`
	State pipeline.FactState `json:"state"`
	Value any                `json:"value,omitempty"` // times in seconds, sizes in bytes
	Where string             `json:"where,omitempty"`
	Error string             `json:"error,omitempty"`
}

type explainedRule struct {
	Name    policy.Reason `json:"name"`
	Action  policy.Action `json:"action"`
	Result  policy.Result `json:"result"`
	False   string        `json:"false,omitempty"` // the part of the condition that is not so
	Unknown []policy.Name `json:"unknown,omitempty"`
	Failure string        `json:"failure,omitempty"`
}

// jsonOf returns an explanation for programs.
func jsonOf(x *pipeline.Explanation) *explanation {
	e := &explanation{
		Project: x.Project, Repository: x.Repository, Tag: x.Tag, Action: x.Verdict.Action, Reason: x.Verdict.Reason,
		Description: x.Description, Skipped: x.Skipped, Doubt: textOf(x.Doubt),
	}
	if x.Skipped != "" {
		e.Action = policy.Keep
	}
	for _, fact := range x.Facts {
		if age, ok := fact.Value.(time.Duration); ok {
			fact.Value = age.Seconds()
		}
		e.Facts = append(e.Facts, explainedFact{fact.Name, fact.State, fact.Value, fact.Where, textOf(fact.Err)})
	}
	for _, step := range x.Rules {
		e.Rules = append(e.Rules, explainedRule{step.Name, step.Action, step.Result, step.False, step.Unknown, step.Failure})
	}
	return e
}

// textOf returns what an error says, nothing for none.
func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
