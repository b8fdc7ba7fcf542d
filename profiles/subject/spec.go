package subject

import (
	"fmt"
	"net/url"
	"path"
	"regexp"
	"strings"

	"mvdan.cc/sh/v3/shell"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

// The kinds of subjects, as they begin a specification and stand in manifests.
const (
	KindBuiltin = "builtin"         // the program's own server; manifests say built-in
	KindExec    = "exec"            // a command
	KindURL     = runfolder.KindURL // a server that is running already
	KindGo      = "go"              // a package of the working tree
	KindGit     = "git"             // a package at a commit
)

// Spec is a subject as it is asked for in one argument.
type Spec struct {
	Name    string // given as NAME=SPEC, or made from the rest; not distinct
	Kind    string
	Target  string            // of exec the command, of url the URL, of builtin all that follows
	Ref     string            // of git
	Package string            // of go and git; empty if there is but one
	Options map[string]string // of go and git: what follows in the form ",name=value"
	text    string
}

// String is the specification as it was given.
func (s Spec) String() string { return s.text }

var (
	givenName  = regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9._-]*)=(.*)$`)
	kindPrefix = regexp.MustCompile(`^([A-Za-z]+):`)
	trailing   = regexp.MustCompile(`^(.*),([a-z]+)=([^,]*)$`)
	unfit      = regexp.MustCompile(`[^A-Za-z0-9._]+`)
)

// ParseSpec reads SPEC or NAME=SPEC. A SPEC is one of
//
//	exec:COMMAND              words as in a shell
//	url:http://HOST:PORT
//	go:PACKAGE                or go: if there is but one
//	git:REF or git:REF:PACKAGE
//	builtin:REST
//	REST
//
// go and git take options behind commas. What REST means is the caller's affair.
func ParseSpec(text string) (Spec, error) {
	s := Spec{text: text, Options: map[string]string{}}
	rest := text
	if m := givenName.FindStringSubmatch(text); m != nil {
		s.Name, rest = m[1], m[2]
	}
	kind, target, found := strings.Cut(rest, ":")
	if !found || !kindPrefix.MatchString(rest) {
		kind, target = KindBuiltin, rest
	}
	s.Kind, s.Target = kind, target
	if err := s.parseTarget(); err != nil {
		return s, fmt.Errorf("subject %q: %w", text, err)
	}
	if s.Name == "" {
		s.Name = s.defaultName()
	}
	return s, nil
}

// InPackage is the specification, of the package if it is one of go or git that
// names none.
func (s Spec) InPackage(pkg string) string {
	if pkg == "" || s.Package != "" {
		return s.text
	}
	switch s.Kind {
	case KindGo:
		return strings.Replace(s.text, "go:", "go:"+pkg, 1)
	case KindGit:
		return strings.Replace(s.text, "git:"+s.Ref, "git:"+s.Ref+":"+pkg, 1)
	}
	return s.text
}

func (s *Spec) parseTarget() error {
	switch s.Kind {
	case KindBuiltin:
		return nil
	case KindExec:
		_, err := SplitCommand(s.Target)
		return err
	case KindURL:
		return s.checkURL()
	case KindGo:
		s.cutOptions()
		s.Package = s.Target
		return nil
	case KindGit:
		s.cutOptions()
		s.Ref, s.Package, _ = strings.Cut(s.Target, ":")
		if s.Ref == "" || strings.HasPrefix(s.Ref, "-") {
			return fmt.Errorf("%q names no commit; write git:REF or git:REF:PACKAGE", s.Target)
		}
		return nil
	case "http", "https":
		return fmt.Errorf("write url:%s", strings.TrimPrefix(s.text, s.Name+"="))
	}
	return fmt.Errorf("%q is no kind of subject; the kinds are exec:, url:, go:, git:, and builtin: for our store", s.Kind+":")
}

func (s *Spec) checkURL() error {
	u, err := url.Parse(s.Target)
	if err != nil || u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return fmt.Errorf("%q is not the URL of a server, such as http://127.0.0.1:8080", s.Target)
	}
	if strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return fmt.Errorf("the paths to ask for are the workload's; leave out %q", u.RequestURI())
	}
	return nil
}

// cutOptions takes the options off the end of the target.
func (s *Spec) cutOptions() {
	for {
		m := trailing.FindStringSubmatch(s.Target)
		if m == nil {
			return
		}
		s.Target, s.Options[m[2]] = m[1], m[3]
	}
}

// defaultName makes a name from what tells the subject from others.
func (s *Spec) defaultName() string {
	name := s.Target
	switch s.Kind {
	case KindExec:
		words, _ := SplitCommand(s.Target) // was split before
		name = path.Base(words[0])
	case KindURL:
		_, name, _ = strings.Cut(name, "://")
	case KindGo:
		name = "go-" + path.Base(s.Package)
	case KindGit:
		name = s.Ref
	case KindBuiltin:
		return "" // the caller's affair
	}
	name = strings.Trim(unfit.ReplaceAllString(name, "-"), "-._")
	if name == "" {
		return s.Kind
	}
	return name
}

// SplitCommand splits a command into words as a POSIX shell does: quotes,
// backslashes, $NAME and ~ mean what they mean there. What only a shell can do,
// such as pipes, is an error.
func SplitCommand(text string) ([]string, error) {
	words, err := shell.Fields(text, nil)
	if err != nil {
		return nil, fmt.Errorf("splitting the command %q: %w; what needs a shell is written sh -c '…'", text, err)
	}
	if len(words) == 0 {
		return nil, fmt.Errorf("the command %q is empty", text)
	}
	return words, nil
}
