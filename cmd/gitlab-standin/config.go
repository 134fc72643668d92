package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
)

// config is what the command line says.
type config struct {
	listen        string
	addrFile      string
	world         string
	regime        string
	truth         string
	rules         string
	deleteKinds   string
	seed          uint64
	projects      int
	emptyProjects int
	repositories  int
	tags          int
	dead          float64
	attested      float64
	protected     float64
	token         string
	latency       time.Duration
	rateLimit     int
}

// usageError is an error of whoever wrote the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// parse reads the command line; help goes to stdout.
func parse(args []string, stdout io.Writer) (config, error) {
	var c config
	flags := flag.NewFlagSet("gitlab-standin", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&c.listen, "listen", "127.0.0.1:8929", "loopback `address` to listen on; port 0 picks one")
	flags.StringVar(&c.addrFile, "addr-file", "", "`file` to write the URL to once it listens")
	flags.StringVar(&c.world, "world", "demo", "demo, random or even: as many of everything as is said, evenly spread")
	flags.StringVar(&c.regime, "regime", "legacy", "legacy or database")
	flags.StringVar(&c.truth, "truth", "registry", "by whose word /-/standin/world judges tags: registry or api")
	flags.StringVar(&c.rules, "rules", "default", "by which rules it judges them: default or original")
	flags.StringVar(&c.deleteKinds, "delete-kinds", "", "kinds that go by the rules by default, as in DELETE_KINDS; empty, those by default")
	flags.Uint64Var(&c.seed, "seed", 1, "seed of a random world")
	flags.IntVar(&c.projects, "projects", 6, "projects with repositories of a random or even world")
	flags.IntVar(&c.emptyProjects, "empty-projects", 0, "projects without repositories of an even world")
	flags.IntVar(&c.repositories, "repositories", 6, "most repositories of a project of a random world; of an even world all together")
	flags.IntVar(&c.tags, "tags", 14, "most tags of a repository of a random world; of an even world all together")
	flags.Float64Var(&c.dead, "dead", 0, "share of an even world's tags that are caches without an image")
	flags.Float64Var(&c.attested, "attested", 0, "share of an even world's tags that are images with attestations")
	flags.Float64Var(&c.protected, "protected", 0, "share of an even world's tags with a protected name")
	flags.StringVar(&c.token, "token", gitlabtest.DefaultToken, "token to let in, with scope api")
	flags.DurationVar(&c.latency, "latency", 0, "time that every request takes")
	flags.IntVar(&c.rateLimit, "rate-limit", 0, "requests a minute; 0 for no limit")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		_, _ = fmt.Fprintln(stdout, "Usage: gitlab-standin [flags]")
		flags.SetOutput(stdout)
		flags.PrintDefaults()
		_, _ = fmt.Fprintln(stdout, "Beside GitLab's API it serves what is left, /-/standin/world, and what it was asked, /-/standin/stats.")
		return c, err
	case err != nil:
		return c, usageError{err}
	case flags.NArg() > 0:
		return c, usageError{fmt.Errorf("unexpected argument %q", flags.Arg(0))}
	}
	if err := c.check(); err != nil {
		return c, usageError{err}
	}
	return c, nil
}

// check finds all that is wrong with the values at once.
func (c config) check() error {
	var errs []error
	complain := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	if err := checkLoopback(c.listen); err != nil {
		errs = append(errs, err)
	}
	complain(c.world != "demo" && c.world != "random" && c.world != "even", "--world: %q is neither demo, random nor even", c.world)
	complain(c.regime != "legacy" && c.regime != "database", "--regime: %q is neither legacy nor database", c.regime)
	complain(c.truth != "registry" && c.truth != "api", "--truth: %q is neither registry nor api", c.truth)
	complain(c.rules != "default" && c.rules != "original", "--rules: %q is neither default nor original", c.rules)
	complain(c.projects < 0 || c.emptyProjects < 0 || c.repositories < 1 || c.tags < 0,
		"--projects, --empty-projects and --tags must not be negative, --repositories at least 1")
	complain(c.world == "even" && (c.projects < 1 || c.repositories < c.projects),
		"--world even: every one of --projects has one of --repositories at least")
	for _, share := range []float64{c.dead, c.attested, c.protected} {
		complain(!(share >= 0 && share <= 1), "--dead, --attested and --protected are shares, from 0 to 1")
	}
	complain(c.token == "", "--token must not be empty")
	complain(c.latency < 0 || c.rateLimit < 0, "--latency and --rate-limit must not be negative")
	return errors.Join(errs...)
}

// checkLoopback refuses addresses that others could reach: the token is
// public, and nothing here was made to withstand anybody.
func checkLoopback(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("--listen: %q is not a loopback address; use 127.0.0.1, [::1] or localhost", address)
}

// truthRules are those by which the stand-in judges tags.
func (c config) truthRules() gitlabtest.TruthRules {
	rules := gitlabtest.TruthRules{Original: c.rules == "original", ByRegistry: c.truth == "registry"}
	if c.deleteKinds != "" {
		rules.DeleteKinds = strings.Split(c.deleteKinds, ",")
	}
	return rules
}

// makeWorld makes the world that was asked for.
func (c config) makeWorld() *gitlabtest.World {
	regime := gitlabtest.Legacy
	if c.regime == "database" {
		regime = gitlabtest.Database
	}
	switch c.world {
	case "even":
		return gitlabtest.EvenWorld{
			Regime: regime, Projects: c.projects, EmptyProjects: c.emptyProjects,
			Repositories: c.repositories, Tags: c.tags,
			Dead: c.dead, Attested: c.attested, Protected: c.protected,
		}.World()
	case "random":
		b := gitlabtest.Random(c.seed, regime)
		b.Projects = c.projects
		b.RepositoriesPerProject[1] = c.repositories
		b.TagsPerRepository[1] = c.tags
		return b.World()
	default:
		w := gitlabtest.DemoWorld()
		w.Regime = regime
		return w
	}
}

// options are those of the server that the command line asks for.
func (c config) options() []gitlabtest.Option {
	options := []gitlabtest.Option{gitlabtest.WithToken(c.token, "api")}
	if c.rateLimit > 0 {
		options = append(options, gitlabtest.WithRateLimit(c.rateLimit))
	}
	if c.latency > 0 {
		options = append(options, gitlabtest.WithFaults(gitlabtest.Fault{
			Effect: gitlabtest.Latency(c.latency),
		}))
	}
	return options
}
