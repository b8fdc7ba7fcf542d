package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/eventobench/eventobench/profiles/subject"
)

// subjectOptions are the flags about subjects that are not the built-in store.
// A value that begins with NAME: is for the subject of that name alone.
type subjectOptions struct {
	env, dirs, ready, timeouts, pprof, builds, starts []string

	remote, tls bool

	flags *pflag.FlagSet
}

func (o *subjectOptions) addFlags(f *pflag.FlagSet) {
	o.flags = f
	f.StringArrayVar(&o.env, "env", nil,
		"KEY=VALUE for the environment of every subject, or NAME:KEY=VALUE for that of one, "+
			"as with all these flags; repeatable")
	f.StringArrayVar(&o.dirs, "dir", nil, "working directory of subjects")
	f.StringArrayVar(&o.ready, "ready", nil,
		"path that answers with a status of 200 to 299 once a subject is ready, or tcp; default: any answer on /")
	f.StringArrayVar(&o.timeouts, "ready-timeout", nil, "time for a subject to become ready (default 15s)")
	f.StringArrayVar(&o.pprof, "pprof", nil,
		"profiling pages that are elsewhere: 127.0.0.1:{port2}, or with a path http://127.0.0.1:6060/internal/debug/pprof")
	f.StringArrayVar(&o.builds, "build", nil, "how to build go: and git: subjects (default go build -o {out} PACKAGE)")
	f.StringArrayVar(&o.starts, "start", nil, "how to start them, such as '{out} -listen {addr}'")
	f.BoolVar(&o.tls, "tls", false, "subjects that do not print their URL speak TLS")
	f.BoolVar(&o.remote, "allow-remote", false, "permit load on servers that are not on loopback")
}

// targets makes subjects of their specifications, and builds those that must be
// built. log is told so; it may be nil.
func (o *subjectOptions) targets(ctx context.Context, texts []string, log io.Writer) ([]subject.Target, error) {
	specs, err := parseSpecs(texts)
	if err == nil {
		err = o.check(specs)
	}
	if err != nil {
		return nil, err
	}
	var all []subject.Target
	for _, s := range specs {
		t, err := o.settings(s.Name, specs).target(ctx, s, log)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, nil
}

// stores are built-in stores of other flags, with what these flags say about them.
func (o *subjectOptions) stores(all []subject.Exec) ([]subject.Target, error) {
	var specs []subject.Spec
	for i, name := range distinct(execNames(all)) {
		all[i].Name = name
		specs = append(specs, subject.Spec{Name: name, Kind: subject.KindBuiltin})
	}
	if err := o.check(specs); err != nil {
		return nil, err
	}
	var targets []subject.Target
	for _, s := range all {
		targets = append(targets, o.settings(s.Name, specs).apply(s))
	}
	return targets, nil
}

// parseSpecs gives every specification a name of its own.
func parseSpecs(texts []string) ([]subject.Spec, error) {
	var specs []subject.Spec
	var names []string
	for _, text := range texts {
		s, err := subject.ParseSpec(text)
		if err != nil {
			return nil, err
		}
		if s.Name == "" {
			store, err := storeOf(s)
			if err != nil {
				return nil, err
			}
			s.Name = store.Name
		}
		specs, names = append(specs, s), append(names, s.Name)
	}
	for i, name := range distinct(names) {
		specs[i].Name = name
	}
	return specs, nil
}

// storeOf is the built-in store of a specification.
func storeOf(s subject.Spec) (subject.Exec, error) {
	spec, err := parseStoreSpec(s.Target)
	if err != nil {
		return subject.Exec{}, err
	}
	e, err := spec.subject()
	if err != nil {
		err = fmt.Errorf("subject %q: %w; a server of your own is exec:COMMAND, url:URL, go:PACKAGE or git:REF", s, err)
	}
	return e, err
}

// settings are what the flags say about one subject.
type settings struct {
	name                            string
	env                             []string
	dir, ready, pprof, build, start string
	timeout                         time.Duration
	remote, tls                     bool
}

// settings are those of one subject. They have been checked.
func (o *subjectOptions) settings(name string, specs []subject.Spec) settings {
	last := func(given []string) string {
		values := valuesFor(name, specs, given)
		if len(values) == 0 {
			return ""
		}
		return values[len(values)-1]
	}
	timeout, _ := time.ParseDuration(last(o.timeouts)) // none if it was not given
	return settings{
		name: name, env: valuesFor(name, specs, o.env), dir: last(o.dirs), ready: last(o.ready), timeout: timeout,
		pprof: last(o.pprof), build: last(o.builds), start: last(o.starts), remote: o.remote, tls: o.tls,
	}
}

var environmentVariable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*=`)

// check rejects values that mean nothing, and those that no subject can use.
func (o *subjectOptions) check(specs []subject.Spec) error {
	named := fmt.Sprintf(" with the name of a subject (%s)", strings.Join(namesOf(specs), ", "))
	for _, flag := range []struct {
		name    string
		given   []string
		useful  func(kind string) bool // to a subject of the kind; nil if to all
		correct func(value string) bool
		advice  string // what to do about a value that is not
	}{
		{"env", o.env, isStarted, environmentVariable.MatchString, "write KEY=VALUE, or NAME:KEY=VALUE" + named},
		{"dir", o.dirs, isStarted, isFolder, "no such folder"},
		{"ready", o.ready, nil, isReadiness, "write a path such as /health, or tcp, or either after NAME:" + named},
		{"ready-timeout", o.timeouts, nil, isTimeout, "write a time such as 30s, or NAME:30s" + named},
		{"build", o.builds, isBuilt, nil, ""},
		{"start", o.starts, isBuilt, nil, ""},
	} {
		for _, text := range flag.given {
			name, value := addressee(specs, text)
			if flag.correct != nil && !flag.correct(value) {
				return fmt.Errorf("--%s %s: %s", flag.name, value, flag.advice)
			}
			if flag.useful != nil && !anyUses(specs, name, flag.useful) && !configured(o.flags, flag.name) {
				return fmt.Errorf("no subject of this run can use --%s %s", flag.name, text)
			}
		}
	}
	if o.tls && !anyUses(specs, "", mayHideURL) && !configured(o.flags, "tls") {
		return errors.New("no subject of this run can use --tls")
	}
	return nil
}

func isStarted(kind string) bool  { return kind != subject.KindURL }
func mayHideURL(kind string) bool { return isStarted(kind) && kind != subject.KindBuiltin }
func isBuilt(kind string) bool    { return kind == subject.KindGo || kind == subject.KindGit }

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func isReadiness(text string) bool {
	return text == subject.ReadyDefault || text == subject.ReadyTCP || strings.HasPrefix(text, "/")
}

func isTimeout(text string) bool {
	d, err := time.ParseDuration(text)
	return err == nil && d > 0
}

// anyUses reports whether what is for one subject, or for all if the name is empty,
// is of use to any.
func anyUses(specs []subject.Spec, name string, useful func(kind string) bool) bool {
	return slices.ContainsFunc(specs, func(s subject.Spec) bool {
		return (name == "" || name == s.Name) && useful(s.Kind)
	})
}

// configured reports whether the project's configuration has a flag. It may be for
// other subjects than those of this run.
func configured(f *pflag.FlagSet, flag string) bool {
	config := f.Lookup("config")
	if config == nil {
		return false
	}
	project, err := readProject(config.Value.String())
	return err == nil && slices.ContainsFunc(slices.Concat(project.Workload, project.Plan),
		func(v flagValue) bool { return v.name == flag })
}

func namesOf(specs []subject.Spec) (names []string) {
	for _, s := range specs {
		names = append(names, s.Name)
	}
	return names
}

// valuesFor are the values of a flag for one subject, those for it alone last.
func valuesFor(name string, specs []subject.Spec, given []string) []string {
	var general, own []string
	for _, text := range given {
		of, value := addressee(specs, text)
		switch of {
		case "":
			general = append(general, value)
		case name:
			own = append(own, value)
		}
	}
	return append(general, own...)
}

// addressee cuts the name of a subject off a flag's value, if it begins with one.
func addressee(specs []subject.Spec, text string) (name, value string) {
	before, after, found := strings.Cut(text, ":")
	for _, s := range specs {
		if found && s.Name == before && !strings.HasPrefix(after, "//") {
			return before, after
		}
	}
	return "", text
}

// target makes the subject.
func (s settings) target(ctx context.Context, spec subject.Spec, log io.Writer) (subject.Target, error) {
	switch spec.Kind {
	case subject.KindURL:
		r := subject.Running{
			Name: s.name, Server: spec.Target, Ready: s.ready, Debug: s.pprof, Timeout: s.timeout, Remote: s.remote,
		}
		_, err := r.Info()
		return r, err
	case subject.KindGo, subject.KindGit:
		return s.built(ctx, spec, log)
	case subject.KindExec:
		command, err := subject.SplitCommand(spec.Target)
		return s.apply(subject.Exec{Kind: subject.KindExec, Command: command}), err
	}
	e, err := storeOf(spec)
	return s.apply(e), err
}

// apply adds what the flags say to a subject that is started.
func (s settings) apply(e subject.Exec) subject.Exec {
	e.Name, e.Dir, e.Debug, e.Timeout, e.Remote = s.name, s.dir, s.pprof, s.timeout, s.remote
	e.Env = append(e.Env, s.env...)
	e.Ready = cmp.Or(s.ready, e.Ready)
	if s.tls {
		e.Scheme = "https"
	}
	return e
}

// ourModule is the module of the built-in store.
const ourModule = "github.com/eventobench/eventobench"

// built builds a subject.
func (s settings) built(ctx context.Context, spec subject.Spec, log io.Writer) (subject.Exec, error) {
	cache, err := subject.CacheDir()
	if err != nil {
		return subject.Exec{}, err
	}
	build := subject.Build{
		Ref: spec.Ref, Package: spec.Package, Toolchain: spec.Options["go"], Command: s.build, Cache: cache, Log: log,
	}
	made, err := build.Make(ctx)
	if err != nil {
		return subject.Exec{}, err
	}
	e, err := s.program(spec, made)
	e.Layouts = func(ctx context.Context) (subject.Layouts, error) {
		l, err := build.Linker(ctx, made)
		return linked{l, func(b subject.Built) (subject.Exec, error) { return s.program(spec, b) }}, err
	}
	return e, err
}

// program is the subject that was built. One of our own module is the store; of
// another, it is known how to start it, or else the program alone is tried, with a
// port in the variable that many servers look at.
func (s settings) program(spec subject.Spec, made subject.Built) (e subject.Exec, err error) {
	options := maps.Clone(spec.Options)
	delete(options, "go")
	if made.Module == ourModule && s.start == "" {
		e, err = builtStore(made.Program, options)
	} else {
		e, err = s.stranger(made.Program, options)
	}
	if err != nil {
		err = fmt.Errorf("subject %q: %w", spec, err)
	}
	e.Kind, e.Build, e.Program = spec.Kind, &made.Info, made.Program
	return s.apply(e), err
}

// builtStore is the store of another build.
func builtStore(program string, options map[string]string) (subject.Exec, error) {
	store := storeSpec{transport: "nethttp", binary: program}
	for name, value := range options {
		if err := store.set(name, value); err != nil {
			return subject.Exec{}, err
		}
	}
	return store.subject()
}

// portVariable tells a server that is started alone where to listen.
const portVariable = "PORT=" + subject.ChosenPort

// stranger is any server that was built.
func (s settings) stranger(program string, options map[string]string) (subject.Exec, error) {
	var e subject.Exec
	for name := range options {
		return e, fmt.Errorf("%s= is no option; there is go=, the version of Go to build with", name)
	}
	if s.start == "" {
		return subject.Exec{Command: []string{program}, Env: []string{portVariable}}, nil
	}
	words, err := subject.SplitCommand(s.start)
	for _, word := range words {
		e.Command = append(e.Command, strings.ReplaceAll(word, subject.Program, program))
	}
	return e, err
}
