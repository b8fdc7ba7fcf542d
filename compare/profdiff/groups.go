package profdiff

import (
	"bufio"
	"bytes"
	_ "embed"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"
)

// The groups of what no rule names: the subject's own module, the runtime at
// work for nobody in particular, and everything else.
const (
	GroupOwn     = "own code"
	GroupRuntime = "runtime: scheduler, other"
	GroupOther   = "other"
)

// groupSyscalls is the group of the way into the kernel, as groups.txt names it.
const groupSyscalls = "syscalls, network"

//go:embed groups.txt
var defaultGroups []byte

// Groups says which kind of work a function does, by the beginning of its
// name.
type Groups struct {
	packages  map[string]string // label by import path
	functions []functionRule    // longest first
}

type functionRule struct{ prefix, label string }

// DefaultGroups knows the standard library, net/http and fasthttp, the JSON
// packages in use, database drivers and the runtime.
func DefaultGroups() *Groups {
	g := &Groups{packages: map[string]string{}}
	if err := g.read(bytes.NewReader(defaultGroups)); err != nil {
		panic("profdiff: groups.txt:" + err.Error())
	}
	return g
}

// ReadGroups reads a file of rules in addition to the default ones: lines of
// the form "label = prefix prefix …", and comments after #. Where the file and
// the default name the same prefix, the file counts. An error names file and
// line.
func ReadGroups(path string) (*Groups, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading package groups: %w", err)
	}
	defer f.Close()
	own := &Groups{packages: map[string]string{}}
	if err := own.read(f); err != nil {
		return nil, fmt.Errorf("reading package groups: %s:%w", path, err)
	}
	return DefaultGroups().with(own), nil
}

// read adds the rules of one file, in which no prefix may stand twice. Its
// errors begin with the number of the line.
func (g *Groups) read(r io.Reader) error {
	seen := map[string]int{}
	lines := bufio.NewScanner(r)
	n := 0
	for lines.Scan() {
		n++
		label, prefixes, err := parseGroupLine(lines.Text())
		if err != nil {
			return fmt.Errorf("%d: %w", n, err)
		}
		for _, p := range prefixes {
			if first, twice := seen[p]; twice {
				return fmt.Errorf("%d: %s stands on line %d already; a prefix belongs to one group", n, p, first)
			}
			seen[p] = n
			g.add(label, p)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%d: %w", n+1, err)
	}
	return nil
}

// parseGroupLine reads a line; an empty one and a comment have no prefixes.
func parseGroupLine(line string) (label string, prefixes []string, err error) {
	if !utf8.ValidString(line) {
		return "", nil, fmt.Errorf("not UTF-8 text")
	}
	line, _, _ = strings.Cut(line, "#")
	if strings.TrimSpace(line) == "" {
		return "", nil, nil
	}
	label, list, ok := strings.Cut(line, "=")
	label, prefixes = strings.TrimSpace(label), strings.Fields(list)
	switch {
	case !ok || label == "":
		return "", nil, fmt.Errorf("%q is not of the form \"label = prefix prefix …\"", strings.TrimSpace(line))
	case len(prefixes) == 0:
		return "", nil, fmt.Errorf("group %s has no prefixes", label)
	}
	for _, p := range prefixes {
		if err := checkPrefix(p); err != nil {
			return "", nil, fmt.Errorf("%s: %w", p, err)
		}
	}
	return label, prefixes, nil
}

// checkPrefix accepts an import path, or the beginning of a function's name
// followed by *. Such a name may hold the * of a receiver.
func checkPrefix(p string) error {
	name, isFunction := strings.CutSuffix(p, "*")
	stars := strings.Count(name, "*") - strings.Count(name, "(*")
	switch {
	case name == "" || stars > 0:
		return fmt.Errorf("a * may only stand at the end, after the beginning of a function's name, or in a receiver")
	case !isFunction && strings.ContainsAny(p, "()*"):
		return fmt.Errorf("the beginning of a function's name must end in *")
	case strings.HasPrefix(p, "/") || strings.HasSuffix(p, "/"):
		return fmt.Errorf("an import path neither begins nor ends with a slash")
	}
	return nil
}

func (g *Groups) add(label, prefix string) {
	name, isFunction := strings.CutSuffix(prefix, "*")
	if !isFunction {
		g.packages[prefix] = label
		return
	}
	g.functions = slices.DeleteFunc(g.functions, func(r functionRule) bool { return r.prefix == name })
	g.functions = append(g.functions, functionRule{name, label})
	slices.SortStableFunc(g.functions, func(a, b functionRule) int { return len(b.prefix) - len(a.prefix) })
}

// with returns the rules of g and those of others, which win.
func (g *Groups) with(others *Groups) *Groups {
	both := &Groups{packages: map[string]string{}, functions: slices.Clone(g.functions)}
	for _, rules := range []*Groups{g, others} {
		for path, label := range rules.packages {
			both.packages[path] = label
		}
	}
	for _, r := range others.functions {
		both.add(r.label, r.prefix+"*")
	}
	return both
}

// of returns the rules for the server of the given module: its packages are
// its own code as far as no rule says otherwise.
func (g *Groups) of(module string) *Groups {
	own := &Groups{packages: map[string]string{"main": GroupOwn}}
	if module != "" {
		own.packages[module] = GroupOwn
	}
	return own.with(g)
}

// group returns the label of a function, or "" if it works for its caller.
func (g *Groups) group(function, path string) string {
	label, length := g.packageGroup(path)
	for _, r := range g.functions {
		if len(r.prefix) >= length && strings.HasPrefix(function, r.prefix) {
			return r.label
		}
	}
	if label == "" && !standard(path) {
		return GroupOther
	}
	return label
}

// packageGroup finds the longest path that holds the package, and its length.
func (g *Groups) packageGroup(path string) (label string, length int) {
	for path != "" {
		if label, ok := g.packages[path]; ok {
			return label, len(path)
		}
		path = path[:max(strings.LastIndexByte(path, '/'), 0)]
	}
	return "", 0
}

// standard tells the paths that Go keeps for its standard library, those whose
// first element has no dot, and symbols without a package, which are assembly
// of the runtime or C.
func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

// ofRuntime tells the runtime's packages.
func ofRuntime(path string) bool {
	return path == "" || path == "runtime" || strings.HasPrefix(path, "runtime/") || strings.HasPrefix(path, "internal/")
}
