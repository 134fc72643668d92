package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gitlab.com/registry-gc/registry-gc/pipeline/policy"
)

// A ranking is the tags of a repository by age. It is made once for all of them, when a rule
// needs the rank of one.
type ranking struct {
	newest []int32 // places in the listing of the tags that have a date, the newest first
	ranks  []int32 // by place in the listing; 0 for a tag without a date
	// findings are what was found of the tags by asking for each; nil where the listing has said
	// it all.
	findings []finding
}

// rank returns a tag's rank, and what is known of the tag.
func (d *decision) rank(ctx context.Context, workers int) (policy.Fact[int], finding, error) {
	reading, err := read(ctx, d.ranked, false, func(ctx context.Context) (ranking, error) {
		return d.scannedRepository.rankTags(ctx, workers)
	})
	if err != nil {
		return policy.Unknown[int](), d.finding, err
	}
	ranked := reading.value
	place, _ := d.tags.place(d.name)
	if ranked.findings != nil {
		d.asked = true
		return ranked.of(place), ranked.findings[place], nil
	}
	return ranked.of(place), d.finding, nil
}

// of returns the rank of the tag at a place of the listing.
func (r ranking) of(place int) policy.Fact[int] {
	if r.ranks[place] == 0 {
		return policy.Absent[int]()
	}
	return policy.Known(int(r.ranks[place]))
}

// rankTags finds when each tag of the repository was made. Where the source has to ask for each,
// so many requests are in flight at a time; one that fails leaves all ranks unknown.
func (s *scannedRepository) rankTags(ctx context.Context, workers int) (ranking, error) {
	made := make([]time.Time, len(s.tags))
	var ask []int
	for i, t := range s.tags {
		f, _ := s.source.find(ctx, s.repository, t, finding{}, needNothing)
		made[i], _ = f.made.Get()
		if f.made.IsUnknown() && !t.isStray() {
			ask = append(ask, i)
		}
	}
	var r ranking
	if len(ask) > 0 {
		r.findings = make([]finding, len(s.tags))
	}
	errs := make([]error, len(ask))
	parallel(len(ask), workers, func(i int) {
		place := ask[i]
		f, err := s.source.find(ctx, s.repository, s.tags[place], finding{}, policy.FactAge)
		r.findings[place] = f
		made[place], _ = f.made.Get()
		switch {
		case errors.Is(err, errNoSuchTag): // a stray entry of the listing
		case err == nil && f.made.IsUnknown():
			errs[i] = fmt.Errorf("%w: the age of %s", errCannotBeHad, s.tags[place].name)
		default:
			errs[i] = err
		}
	})
	if r.findings != nil { // what could be read is not read again for each tag
		s.readForRanks.Store(&r.findings)
	}
	if err := errors.Join(errs...); err != nil {
		return ranking{}, err
	}
	for i := range s.tags {
		if !made[i].IsZero() {
			r.newest = append(r.newest, int32(i))
		}
	}
	slices.SortFunc(r.newest, func(a, b int32) int {
		return cmp.Or(made[b].Compare(made[a]), strings.Compare(s.tags[a].name, s.tags[b].name))
	})
	r.ranks = make([]int32, len(s.tags))
	for i, place := range r.newest {
		r.ranks[place] = int32(i + 1)
	}
	return r, nil
}

// notRanked fails where the tags of a repository were not ranked, which a rule that has asked for a
// rank has seen to.
func notRanked(context.Context) (ranking, error) {
	return ranking{}, errors.New("its tags were not ranked")
}

// rankAgain returns the rank that a tag has among those that were ranked and are still listed:
// what has been deleted meanwhile makes others newer. What has come since counts for nothing, as
// it would make them older.
func (s *scannedRepository) rankAgain(ctx context.Context, name string) (policy.Fact[int], time.Time, error) {
	again, err := read(ctx, s.rankedAgain, true, func(ctx context.Context) (ranking, error) {
		first, err := read(ctx, s.ranked, false, notRanked)
		if err != nil {
			return ranking{}, err
		}
		now, err := s.fresh.list(ctx, s.repository)
		if err != nil {
			return ranking{}, err
		}
		r := ranking{ranks: make([]int32, len(s.tags))}
		var rank int32
		for _, place := range first.value.newest {
			if now.has(s.tags[place].name) {
				rank++
				r.ranks[place] = rank
			}
		}
		return r, nil
	})
	if err != nil {
		return policy.Unknown[int](), again.began, err
	}
	place, _ := s.tags.place(name)
	rank := again.value.of(place)
	if first, err := read(ctx, s.ranked, false, notRanked); err != nil || rank.IsAbsent() && first.value.of(place).IsKnown() {
		return policy.Unknown[int](), again.began, cmp.Or(err, errGone) // or the list is not whole
	}
	return rank, again.began, nil
}
