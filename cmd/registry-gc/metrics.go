package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
	"gitlab.com/registry-gc/registry-gc/pipeline/report/metrics"
)

// How long a push may take at most, unless REQUEST_TIMEOUT is less: a monitor that is
// down should not hold up a job that is done. After a signal less is left: deletions in
// flight may have taken most of ten seconds.
const (
	pushTimeout        = 5 * time.Second
	pushTimeoutStopped = time.Second
)

// pushMetrics sends the metrics to the Pushgateway, if there is one. A push that
// fails is a warning, and the exit code remains that of the run. A signal ends the push.
func (j *job) pushMetrics(ctx context.Context, ended *metrics.Run) {
	if j.config.Pushgateway.IsZero() {
		return
	}
	limit := min(pushTimeout, time.Duration(j.config.RequestTimeout))
	if ctx.Err() != nil {
		ctx, limit = context.WithoutCancel(ctx), min(pushTimeoutStopped, limit)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer within %v", limit))
	defer cancel()
	gateway, err := j.gateway()
	if err == nil {
		err = gateway.Push(ctx, ended)
	}
	if err != nil {
		j.log.Warn("metrics were not pushed", "error", err)
		return
	}
	j.log.Info("metrics pushed", "host", gateway.Host())
}

// gateway returns the Pushgateway, with what tells this run's metrics from those of
// others: the instance, the part of it that is walked, and whether it is a dry run. Runs
// with the same settings replace each other's.
func (j *job) gateway() (*metrics.Gateway, error) {
	gateway, err := metrics.ParseGateway(j.config.Pushgateway.Reveal())
	if err != nil {
		return nil, err
	}
	instance, err := throttle.ParseURL(j.config.GitLabURL)
	if err != nil {
		return nil, err
	}
	scope := slices.Concat(j.config.Groups, j.config.Projects)
	slices.Sort(scope)
	gateway.DryRun = j.config.DryRun
	gateway.Instance = instance.Host + instance.Path
	gateway.Scope = strings.Join(slices.Compact(scope), ",")
	if shard := j.config.shard(); shard.Count > 1 {
		gateway.Shard = strconv.Itoa(shard.Index)
	}
	return gateway, nil
}
