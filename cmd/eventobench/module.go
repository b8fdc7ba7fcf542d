package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// goModule is what can be seen of a Go module from outside: how its servers are
// probably started, and what can be asked of them.
type goModule struct {
	programs []program
	pprof    bool     // some package imports net/http/pprof
	expvar   bool     // some package imports expvar
	routes   []string // paths that a GET may ask for; those that tell how a server is come last
	patterns []string // routes of a GET that need a value
}

// program is a main package.
type program struct {
	pkg   string   // as in "go build", such as ./cmd/server
	flags []string // that seem to say where it listens, without dashes
	env   []string // variables that seem to do so
}

// goPackage is what "go list -json" says of a package.
type goPackage struct {
	Dir     string
	Name    string
	GoFiles []string
	Imports []string
	Module  struct{ Dir string }
}

// scanModule looks at the module in the working directory, without building it.
func scanModule(ctx context.Context) (goModule, error) {
	packages, err := listPackages(ctx)
	if err != nil {
		return goModule{}, err
	}
	var m goModule
	for _, p := range packages {
		files, err := parsePackage(p)
		if err != nil {
			return m, err
		}
		m.pprof = m.pprof || slices.Contains(p.Imports, "net/http/pprof")
		m.expvar = m.expvar || slices.Contains(p.Imports, "expvar")
		found := lookAt(files)
		m.routes = append(m.routes, found.routes...)
		m.patterns = append(m.patterns, found.patterns...)
		if p.Name == "main" {
			m.programs = append(m.programs, program{pkg: relative(p), flags: found.flags, env: found.env})
		}
	}
	m.routes, m.patterns = distinctSorted(m.routes), distinctSorted(m.patterns)
	slices.SortStableFunc(m.routes, func(a, b string) int { return cmp.Compare(ofCare(a), ofCare(b)) })
	return m, nil
}

func distinctSorted(texts []string) []string {
	slices.Sort(texts)
	return slices.Compact(texts)
}

// ofCare is 1 for a path that tells how a server is, which is not what it is for.
func ofCare(path string) int {
	for _, word := range []string{"health", "ready", "live", "metrics", "ping", "version"} {
		if strings.Contains(path, word) {
			return 1
		}
	}
	return 0
}

func listPackages(ctx context.Context) ([]goPackage, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-json=Dir,Name,GoFiles,Imports,Module", "./...")
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("looking at the Go module in this folder (run it where its go.mod is): %w", withStderr(err))
	}
	var all []goPackage
	d := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p goPackage
		err := d.Decode(&p)
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading the output of go list: %w", err)
		}
		all = append(all, p)
	}
}

// withStderr adds what a program printed to its exit code.
func withStderr(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(exit.Stderr) > 0 {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
	}
	return err
}

func relative(p goPackage) string {
	dir, err := filepath.Rel(p.Module.Dir, p.Dir)
	if err != nil || dir == "." {
		return "."
	}
	return "./" + filepath.ToSlash(dir)
}

func parsePackage(p goPackage) ([]*ast.File, error) {
	var files []*ast.File
	for _, name := range p.GoFiles {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

// sight is what the source of a package shows.
type sight struct{ flags, env, routes, patterns []string }

func lookAt(files []*ast.File) sight {
	var s sight
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				s.call(call)
			}
			return true
		})
	}
	return s
}

// listenWords are the names of flags, and the last words of those of variables,
// that say where a server listens.
var listenWords = []string{
	"addr", "address", "listen", "listen-addr", "listen-address", "http", "http-addr", "bind", "port", "http-port",
}

// call notes a call that declares a flag, reads a variable or registers a route.
func (s *sight) call(call *ast.CallExpr) {
	name := calledName(call)
	texts := stringArguments(call)
	if len(texts) == 0 {
		return
	}
	switch {
	case declaresFlag(name) && onFlags(call):
		if slices.Contains(listenWords, strings.ToLower(texts[0])) {
			s.flags = append(s.flags, texts[0])
		}
	case name == "Getenv" || name == "LookupEnv":
		word := texts[0][strings.LastIndexByte(texts[0], '_')+1:]
		if slices.Contains(listenWords, strings.ToLower(word)) {
			s.env = append(s.env, texts[0])
		}
	case registersRoute(name):
		if path := getPath(texts[0]); strings.ContainsAny(path, "{}:*") {
			s.patterns = append(s.patterns, path)
		} else if path != "" {
			s.routes = append(s.routes, path)
		}
	}
}

func calledName(call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.SelectorExpr:
		return f.Sel.Name
	case *ast.Ident:
		return f.Name
	}
	return ""
}

// stringArguments are the arguments that are literals.
func stringArguments(call *ast.CallExpr) []string {
	var texts []string
	for _, arg := range call.Args {
		if lit, ok := arg.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if text, err := strconv.Unquote(lit.Value); err == nil && text != "" {
				texts = append(texts, text)
			}
		}
	}
	return texts
}

// declaresFlag tells the functions of packages flag and pflag.
func declaresFlag(name string) bool {
	kind := strings.TrimSuffix(strings.TrimSuffix(name, "P"), "Var")
	return slices.Contains([]string{"String", "Int", "Uint", "Int64", "Uint16", "TextVar", "Func"}, kind)
}

// onFlags reports whether a method is called on a set of flags: package flag or
// pflag, a command's Flags(), or a variable with such a name.
func onFlags(call *ast.CallExpr) bool {
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	switch of := method.X.(type) {
	case *ast.Ident:
		name := strings.ToLower(of.Name)
		return strings.Contains(name, "flag") || name == "fs" || name == "f"
	case *ast.CallExpr:
		return strings.HasSuffix(calledName(of), "Flags")
	}
	return false
}

// registersRoute tells the methods of routers for any method and for GET.
func registersRoute(name string) bool {
	return slices.Contains([]string{"Handle", "HandleFunc", "Get", "GET"}, name)
}

// getPath is the path of a route for GET, which may need values, else "".
func getPath(pattern string) string {
	method, path, found := strings.Cut(pattern, " ")
	if !found {
		method, path = "GET", pattern
	}
	path = strings.TrimSuffix(strings.TrimSpace(path), "{$}")
	if method != "GET" || !strings.HasPrefix(path, "/") || strings.Contains(path, " ") ||
		strings.HasPrefix(path, "/debug/") {
		return ""
	}
	return path
}
