package workload

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/eventobench/eventobench/loadgen"
)

// maxKinds limits the kinds of requests that were given no names. Each kind costs
// a histogram per worker and block, and a row in every report.
const maxKinds = 12

// otherKind takes the requests that are too rare for a kind of their own.
const otherKind = "other"

// kindName is the method and the path of a request, without its query.
func kindName(r loadgen.Request) string {
	path, _, _ := strings.Cut(r.Target, "?")
	return r.Method + " " + path
}

// groupKinds returns the kinds of requests, and the kind of each as an index into
// them. Requests of one name are of one kind. If that makes too many kinds, what
// looks like an identifier in a path is replaced by {id}; if there still are too
// many, the rarest are put together.
func groupKinds(names []string) (kinds []string, of []int) {
	kinds = distinct(names)
	if len(kinds) > maxKinds {
		names = mapped(names, withoutIDs)
		kinds = distinct(names)
	}
	if len(kinds) > maxKinds {
		kept := mostFrequent(names, maxKinds-1)
		names = mapped(names, func(name string) string {
			if slices.Contains(kept, name) {
				return name
			}
			return otherKind
		})
		kinds = distinct(names)
	}
	index := map[string]int{}
	for i, kind := range kinds {
		index[kind] = i
	}
	for _, name := range names {
		of = append(of, index[name])
	}
	return kinds, of
}

// distinct returns each name once, in the order of first appearance.
func distinct(names []string) []string {
	var all []string
	seen := map[string]bool{}
	for _, name := range names {
		if !seen[name] {
			seen[name] = true
			all = append(all, name)
		}
	}
	return all
}

func mapped(names []string, f func(string) string) []string {
	all := make([]string, len(names))
	for i, name := range names {
		all[i] = f(name)
	}
	return all
}

// mostFrequent returns n of the names, those that occur most often. Of equally
// frequent ones the first are taken.
func mostFrequent(names []string, n int) []string {
	count := map[string]int{}
	for _, name := range names {
		count[name]++
	}
	all := distinct(names)
	slices.SortStableFunc(all, func(a, b string) int { return cmp.Compare(count[b], count[a]) })
	return all[:n]
}

// identifier is a part of a path that names one of many things: a number, or eight
// and more hexadecimal digits and dashes, as of a UUID.
var identifier = regexp.MustCompile(`^([0-9]+|[0-9A-Fa-f-]{8,})$`)

// withoutIDs replaces the parts of a path that look like identifiers by {id}.
func withoutIDs(name string) string {
	parts := strings.Split(name, "/")
	for i, part := range parts {
		if identifier.MatchString(part) && strings.ContainsAny(part, "0123456789") {
			parts[i] = "{id}"
		}
	}
	return strings.Join(parts, "/")
}
