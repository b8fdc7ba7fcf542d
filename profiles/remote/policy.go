package remote

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/eventobench/eventobench/profiles/subject"
)

// Loopback is where subjects listen if nobody says anything else.
const Loopback = "127.0.0.1"

// Policy is what an agent starts for recorders, as its own command line says.
type Policy struct {
	// Listen is the address of this machine on which subjects listen.
	Listen string
	// Store is the built-in store with options, which it checks; sampling kinds of profiles.
	Store func(options map[string]string, profiles []string) (subject.Exec, error)
	// Programs are those on this machine that may be started, with any arguments.
	Programs []string
	// Upload permits whatever a recorder sends.
	Upload bool
}

// ParsePrograms makes paths of programs absolute, and holds that they are there.
func ParsePrograms(paths []string) (all []string, err error) {
	for _, path := range paths {
		absolute, err := filepath.Abs(path)
		if err != nil {
			return nil, err
		}
		info, err := os.Stat(absolute)
		if err == nil && !info.Mode().IsRegular() {
			err = errors.New("it is no file")
		}
		if err != nil {
			return nil, fmt.Errorf("program %s: %w", path, err)
		}
		all = append(all, absolute)
	}
	return all, nil
}

// String lists what may be started.
func (p Policy) String() string {
	all := append([]string{"the built-in store"}, p.Programs...)
	if p.Upload {
		all = append(all, "programs that recorders send")
	}
	return strings.Join(all, ", ") + " on " + p.Listen
}

// runtimeVariables are those of Go's runtime by which nothing else can be started.
var runtimeVariables = []string{"GOGC", "GOMEMLIMIT", "GOMAXPROCS", "GODEBUG"}

// subject is what a recorder asks for, if that is allowed. uploaded is the path of the
// program that it has sent, if it has.
func (p Policy) subject(s start, uploaded string) (e subject.Exec, err error) {
	switch {
	case s.Store != nil:
		e, err = p.Store(s.Store, s.Profiles)
	case s.Upload != "" && !p.Upload:
		err = errors.New("it takes no programs from recorders (--allow-upload)")
	case s.Upload != "":
		e.Program = uploaded
		for _, word := range s.Command {
			e.Command = append(e.Command, strings.ReplaceAll(word, subject.Program, uploaded))
		}
	case !slices.Contains(p.Programs, s.Command[0]):
		err = fmt.Errorf("%s is not among the programs that it starts (--allow-exec): %s", s.Command[0], p)
	default:
		e.Command = s.Command
	}
	if err == nil && s.Upload == "" {
		err = checkVariables(s.Env)
	}
	e.Name, e.Env, e.Scheme, e.Debug, e.Timeout = s.Name, append(e.Env, s.Env...), s.Scheme, s.Debug, s.Timeout
	if p.Listen != Loopback {
		e.Host = p.Listen
	}
	if s.Ready != "" {
		e.Ready = s.Ready
	}
	if s.Store == nil {
		e.Dir = s.Dir
	}
	return e, err
}

// checkVariables rejects variables by which a program can be made to run another.
func checkVariables(env []string) error {
	for _, variable := range env {
		name, _, _ := strings.Cut(variable, "=")
		if !slices.Contains(runtimeVariables, name) {
			return fmt.Errorf("it does not take %s from a recorder, only %s: set it where the agent is started",
				name, strings.Join(runtimeVariables, ", "))
		}
	}
	return nil
}
