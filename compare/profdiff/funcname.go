package profdiff

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

// stripVersion is a function's name without the major version in its path and
// without type arguments: the same function of another release.
func stripVersion(name string) string {
	for typeArguments.MatchString(name) {
		name = typeArguments.ReplaceAllString(name, "")
	}
	return majorVersion.ReplaceAllString(name, "$1")
}

// stripReceiver is a name without its version and without what changes in the code of a
// package that is worked on: the numbers of closures, and a method's receiver.
func stripReceiver(name string) string {
	name = stripVersion(name)
	if closure.MatchString(name) {
		return closure.ReplaceAllString(name, ".$1")
	}
	path := packagePath(name)
	return path + method.ReplaceAllString(strings.TrimPrefix(name, path), ".().$2")
}

// packagePath is the import path in a function's name as profiles have it:
// "encoding/json" of "encoding/json.(*decodeState).object". It is empty for a
// symbol without a package.
func packagePath(function string) string {
	name := strings.TrimPrefix(strings.TrimPrefix(function, "type:.eq."), "type:.hash.")
	if i := strings.IndexAny(name, "[("); i >= 0 {
		name = name[:i]
	}
	slash := strings.LastIndexByte(name, '/') + 1
	dot := strings.IndexByte(name[slash:], '.')
	if dot < 0 {
		return ""
	}
	return strings.ReplaceAll(name[:slash+dot], "%2e", ".") // as the linker writes a dot in the last element
}
