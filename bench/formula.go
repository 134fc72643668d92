package main

import (
	"strings"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/gitlabtest"
)

// pages is how many requests a list takes; an empty one takes one, too.
func pages(items, pageSize int) int { return max((items+pageSize-1)/pageSize, 1) }

// sequentialRequests is what the sequential algorithm asks of an instance:
//
//	  the pages of the projects, and the empty one that ends a keyset list
//	+ the pages of each project's repositories
//	+ the pages of each repository's tags
//	+ one for each tag that is not protected
//	+ for each of those in a cache repository the pages of the project's repositories
//	  and of the counterpart's tags, once more
//	+ one for each deletion
//
// It holds for instances in which every cache lacks a date, or the regime is DATABASE, and
// nothing is deleted in a counterpart.
func sequentialRequests(size gitlabtest.EvenWorld) int {
	world := size.World()
	requests := pages(len(world.Projects), 100) + 1 + size.Deletions()
	for _, p := range world.Projects {
		repositories := pages(len(p.Repositories), 100)
		requests += repositories
		for _, r := range p.Repositories {
			requests += pages(len(r.Tags), 100)
			again := 0
			if name, cache := strings.CutSuffix(r.Name, ".cache"); cache {
				again = repositories
				if counterpart := p.Repository(name); counterpart != nil {
					again += pages(len(counterpart.Tags), 100)
				}
			}
			requests += unprotected(r) * (1 + again)
		}
	}
	return requests
}

// unprotected counts the tags of a repository that the default rules do not protect.
func unprotected(r *gitlabtest.Repository) int {
	n := 0
	for _, t := range r.Tags {
		if !isProtected(t.Name) {
			n++
		}
	}
	return n
}

// unprotectedTags counts those of a whole instance.
func unprotectedTags(size gitlabtest.EvenWorld) int {
	n := 0
	for _, p := range size.World().Projects {
		for _, r := range p.Repositories {
			n += unprotected(r)
		}
	}
	return n
}

// listingPages is how many pages have to be read to know all tags: those of the projects,
// of 100, and of each repository's tags, of 1,000 at the registry of a DATABASE instance
// and else of 100.
func listingPages(size gitlabtest.EvenWorld) int {
	pageSize := 100
	if size.Regime == gitlabtest.Database {
		pageSize = 1000
	}
	world := size.World()
	requests := pages(len(world.Projects), 100)
	for _, p := range world.Projects {
		for _, r := range p.Repositories {
			requests += pages(len(r.Tags), pageSize)
		}
	}
	return requests
}

// fewestRequests is what no algorithm can go below that learns of every tag and deletes the
// dead ones, 20 with a request.
func fewestRequests(size gitlabtest.EvenWorld) int {
	return listingPages(size) + (size.Deletions()+19)/20
}
