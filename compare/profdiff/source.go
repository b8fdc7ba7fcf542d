package profdiff

import (
	"path"
	"strings"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

// Source tells where the functions of a module stand in its repository. What is
// unknown is empty.
type Source struct {
	Module string // its path
	Main   string // import path of the main package
	Dir    string // of the module, from the top of the repository
}

// sourceOf is that of a subject.
func sourceOf(s runfolder.SubjectInfo) Source {
	from := Source{Module: s.Binary.Module, Main: s.Binary.Package}
	if s.Build != nil {
		from.Dir = s.Build.Dir
	}
	return from
}

// file is the file of a function, from the top of the repository, given the name
// that a profile has for it: that of a file in a folder which may be gone. It is
// empty if the function is not known to be the module's.
func (s Source) file(function, name string) string {
	pkg := packagePath(function)
	if pkg == "main" {
		pkg = s.Main
	}
	dir, inModule := strings.CutPrefix(pkg, s.Module)
	fromCache := strings.Contains(name, "@") // of modules, so that it is of another one, or of no commit
	if s.Module == "" || name == "" || fromCache || !inModule || dir != "" && dir[0] != '/' {
		return ""
	}
	return path.Join(s.Dir, dir, path.Base(name))
}

// chargeLine counts a value at a line of a function.
func (a *acc) chargeLine(line int64, value float64) {
	if a.lines == nil {
		a.lines = map[int64]float64{}
	}
	a.lines[line] += value
}

// line is where the most is charged, 0 if no line is known.
func (c perOp) line() int {
	most := int64(0)
	for line, value := range c.lines {
		if most == 0 || value > c.lines[most] || value == c.lines[most] && line < most {
			most = line
		}
	}
	return int(most)
}

// place is where a function of the module's has a cost of its own: in the head or,
// if it has none there, in the base.
func (p row) place() (file string, line int) {
	for _, c := range []perOp{p.head, p.base} {
		if line := c.line(); line > 0 {
			return c.file, line
		}
	}
	return "", 0
}
