package policy

import (
	"math/bits"
	"slices"

	"cel.dev/cel-go/common/types"
)

// A set has facts by their numbers in [byCost].
type set uint32

// unknowns are what unknown facts are to CEL, by their numbers.
var unknowns = func() (all []*types.Unknown) {
	for i, name := range byCost {
		all = append(all, types.NewUnknown(idOf(i), types.NewAttributeTrail(string(name))))
	}
	return all
}()

// idOf returns what CEL knows a fact by: it takes 0 for none.
func idOf(number int) int64 { return int64(number) + 1 }

// setOf returns the facts that an unknown of CEL's stands for. Most stand for one.
func setOf(unknown *types.Unknown) (s set) {
	for i, one := range unknowns {
		if unknown == one {
			return 1 << i
		}
	}
	for i := range byCost {
		if _, found := unknown.GetAttributeTrails(idOf(i)); found {
			s |= 1 << i
		}
	}
	return s
}

// numbered returns the set of one fact; of what is none the empty one.
func numbered(name Name) set {
	if i := slices.Index(byCost, name); i >= 0 {
		return 1 << i
	}
	return 0
}

// cheapest returns the fact that costs the least; the set must not be empty.
func (s set) cheapest() Name { return byCost[bits.TrailingZeros32(uint32(s))] }

// names returns the facts, the cheapest first.
func (s set) names() (names []Name) {
	for ; s != 0; s &= s - 1 {
		names = append(names, s.cheapest())
	}
	return names
}

// unknownIn returns those of the facts that are unknown.
func (s set) unknownIn(f *Facts) (unknown set) {
	for i := range byCost {
		if s&(1<<i) != 0 && termOf(string(byCost[i])).of(f) == unknowns[i] {
			unknown |= 1 << i
		}
	}
	return unknown
}
