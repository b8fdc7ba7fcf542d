package compare

import (
	"regexp"
	"strings"
)

var (
	majorVersion  = regexp.MustCompile(`/v[0-9]+([./])`)
	typeArguments = regexp.MustCompile(`\[[^\[\]]*\]`)
	closure       = regexp.MustCompile(`\.(func|gowrap|deferwrap)[0-9]+(\.[0-9]+)*`)
	method        = regexp.MustCompile(`^\.(\(\*?[^()]*\)|[^.()]*)\.([^.()]+)$`)
)

// unversioned is a function's name without the major version in its path and
// without type arguments: the same function of another release.
func unversioned(name string) string {
	for typeArguments.MatchString(name) {
		name = typeArguments.ReplaceAllString(name, "")
	}
	return majorVersion.ReplaceAllString(name, "$1")
}

// unanchored is an unversioned name without what changes in the code of a
// package that is worked on: the numbers of closures, and a method's receiver.
func unanchored(name string) string {
	name = unversioned(name)
	if closure.MatchString(name) {
		return closure.ReplaceAllString(name, ".$1")
	}
	path := packagePath(name)
	return path + method.ReplaceAllString(strings.TrimPrefix(name, path), ".().$2")
}
