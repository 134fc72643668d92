package gitlabtest

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
)

// parameters are the query parameters of an endpoint, each with a check of
// its value.
type parameters map[string]func(value string) bool

func anything(string) bool { return true }

func isFlag(s string) bool {
	return s == "true" || s == "false" || s == "1" || s == "0"
}

func isPositive(s string) bool {
	n, err := strconv.Atoi(s)
	return err == nil && n > 0
}

func oneOf(values ...string) func(string) bool {
	return func(s string) bool { return slices.Contains(values, s) }
}

// with adds parameters to those of every paginated list.
func (p parameters) with(more parameters) parameters {
	all := maps.Clone(p)
	maps.Copy(all, more)
	return all
}

var (
	pageParameters = parameters{"page": isPositive, "per_page": isPositive}

	projectFilters = pageParameters.with(parameters{
		"archived":         isFlag,
		"min_access_level": oneOf("5", "10", "15", "20", "25", "30", "40", "50"),
		"order_by":         oneOf("id", "name", "path", "created_at", "updated_at", "last_activity_at"),
		"search":           anything,
		"simple":           isFlag,
		"sort":             oneOf("asc", "desc"),
		"visibility":       oneOf("public", "internal", "private"),
	})
	projectsParameters = projectFilters.with(parameters{
		"id_after":   isPositive,
		"id_before":  isPositive,
		"membership": isFlag,
		"pagination": oneOf("keyset", "legacy"),
	})
	groupProjectsParameters = projectFilters.with(parameters{
		"include_subgroups": isFlag,
		"with_shared":       isFlag,
	})
	groupParameters = parameters{"with_projects": isFlag}

	groupRepositoriesParameters = pageParameters.with(parameters{"tags_count": isFlag})
	repositoriesParameters      = groupRepositoriesParameters.with(parameters{"tags": isFlag})

	tagsParameters = pageParameters.with(parameters{
		"last":       anything,
		"pagination": oneOf("keyset", "legacy"),
		"sort":       oneOf("asc", "desc"),
	})
)

// checkParameters refuses parameters that the endpoint does not have, and
// values that GitLab refuses. A real GitLab passes over unknown parameters in
// silence, which is how a misspelt filter goes unnoticed.
func (c *call) checkParameters() *answer {
	for _, name := range slices.Sorted(maps.Keys(c.query)) {
		check, known := c.route.takes[name]
		switch values := c.query[name]; {
		case !known:
			return c.violates(name + " is no parameter of this endpoint")
		case len(values) > 1 && name != c.route.repeats:
			return c.violates(name + " is given more than once")
		case !all(values, check):
			return c.violates(name + " does not have a valid value")
		}
	}
	return nil
}

func all(values []string, check func(string) bool) bool {
	return !slices.ContainsFunc(values, func(value string) bool { return !check(value) })
}

// violates answers 400 and records why.
func (c *call) violates(why string) *answer {
	c.violation = c.endpoint() + ": " + why
	if c.registry {
		return registryFailure(http.StatusBadRequest, "INVALID_QUERY_PARAMETER_VALUE",
			"the value of a query parameter is invalid", why)
	}
	return badRequest(why)
}
