package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"

	"github.com/spf13/pflag"

	"github.com/eventobench/eventobench/loadgen/agent"
	"github.com/eventobench/eventobench/profiles"
	"github.com/eventobench/eventobench/profiles/remote"
	"github.com/eventobench/eventobench/profiles/runfolder"
	"github.com/eventobench/eventobench/profiles/subject"
)

// hostOptions are the flags of an agent that starts subjects.
type hostOptions struct {
	on       bool
	listen   string
	programs []string
	upload   bool
}

func (o *hostOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.on, "subjects", false, "start subjects for recorders instead of making load: the built-in store, in memory")
	f.StringVar(&o.listen, "subject-host", remote.Loopback,
		"with --subjects: IPv4 address or name of this machine on which subjects listen")
	f.StringArrayVar(&o.programs, "allow-exec", nil,
		"with --subjects: start this program too, with whatever arguments a recorder gives; repeatable")
	f.BoolVar(&o.upload, "allow-upload", false,
		"with --subjects: start programs that recorders send: whoever may speak to NATS runs here what he likes")
}

// policy is what the flags allow.
func (o *hostOptions) policy() (p remote.Policy, err error) {
	if !o.on && (len(o.programs) > 0 || o.upload || o.listen != remote.Loopback) {
		return p, errors.New("--allow-exec, --allow-upload and --subject-host are for --subjects")
	}
	ip := net.ParseIP(o.listen)
	if o.listen == "" || ip != nil && (ip.To4() == nil || ip.IsUnspecified()) {
		return p, fmt.Errorf(
			"--subject-host %q: give the IPv4 address or the name by which generators reach this machine", o.listen)
	}
	programs, err := remote.ParsePrograms(o.programs)
	if err != nil {
		err = fmt.Errorf("--allow-exec: %w", err)
	}
	return remote.Policy{Listen: o.listen, Store: o.store, Programs: programs, Upload: o.upload}, err
}

// store is the built-in store of the agent: this program, and nothing on its disk. Where
// it listens for others its profiles are for them too, as the recorder is one of them.
func (o *hostOptions) store(options map[string]string, kinds []string) (subject.Exec, error) {
	e, err := hostedStore(options, kinds)
	if ip := net.ParseIP(o.listen); err == nil && (ip == nil || !ip.IsLoopback()) {
		e.Command = append(slices.Clone(e.Command), "--pprof-anywhere")
	}
	return e, err
}

func hostedStore(options map[string]string, kinds []string) (subject.Exec, error) {
	var spec storeSpec
	for _, name := range slices.Sorted(maps.Keys(options)) {
		if name == "binary" {
			return subject.Exec{}, errors.New("the built-in store of an agent is the agent's own program")
		}
		if err := spec.set(name, options[name]); err != nil {
			return subject.Exec{}, err
		}
	}
	if spec.store != memoryStore {
		return subject.Exec{}, fmt.Errorf("the built-in store of an agent is in memory, not in %s", spec.store)
	}
	e, err := spec.subject()
	if err != nil {
		return e, err
	}
	sampled, err := runfolder.ParseKinds(kinds)
	return withProfiling(e, sampled), err
}

// checkSubjects rejects those that no agent can start.
func (o *agentsOptions) checkSubjects(subjects []subject.Target) error {
	for _, t := range subjects {
		e, started := t.(subject.Exec)
		switch {
		case o.subjectAgent == "":
		case !started:
			return fmt.Errorf("--subject-agent starts subjects, and %v is running already; leave it out", t)
		case e.Database != nil:
			return fmt.Errorf("--subject-agent: %v would need a database server on that machine, which no agent starts", t)
		}
	}
	return nil
}

// elsewhere makes subjects that the agent starts, instead of this process, of an
// experiment.
func (o *agentsOptions) elsewhere(e *profiles.Experiment) error {
	if o.link == nil {
		return nil
	}
	var kinds []string
	for _, k := range e.Profiles {
		if profilingFlags[k.Name] != "" {
			kinds = append(kinds, k.Name)
		}
	}
	var err error
	if e.Subjects, err = o.hostedAll(e.Subjects, kinds); err != nil {
		return err
	}
	begin := e.Layouts.Begin
	e.Layouts.Begin = func(ctx context.Context) ([]subject.Layouts, error) {
		all, err := begin(ctx)
		for i, l := range all {
			all[i] = hostedLayouts{l, o, kinds}
		}
		return all, err
	}
	e.Machine, e.SubjectAgent = o.subjectMachine()
	return nil
}

// searchElsewhere is the same for a search. That takes no profiles.
func (o *agentsOptions) searchElsewhere(e *profiles.CapacityExperiment) (err error) {
	if o.link == nil {
		return nil
	}
	e.Machine, e.SubjectAgent = o.subjectMachine()
	e.Subjects, err = o.hostedAll(e.Subjects, nil)
	return err
}

// subjectMachine is that of the agent, nil for this one, and the agent as files have it.
func (o *agentsOptions) subjectMachine() (profiles.Machine, *runfolder.SubjectAgent) {
	by := &runfolder.SubjectAgent{Name: o.link.Name, Version: o.link.Version, Elsewhere: !o.link.Here()}
	if o.link.Here() {
		return nil, by
	}
	return remote.Machine{Link: o.link}, by
}

// hostedLayouts are linked here and started by the agent.
type hostedLayouts struct {
	subject.Layouts
	o     *agentsOptions
	kinds []string
}

func (l hostedLayouts) Link(ctx context.Context, seed int64) (subject.Target, error) {
	t, err := l.Layouts.Link(ctx, seed)
	if err != nil {
		return nil, err
	}
	return l.o.hosted(t, l.kinds)
}

func (o *agentsOptions) hostedAll(subjects []subject.Target, kinds []string) (all []subject.Target, err error) {
	for _, t := range subjects {
		hosted, err := o.hosted(t, kinds)
		if err != nil {
			return nil, err
		}
		all = append(all, hosted)
	}
	return all, nil
}

// hosted is a subject that the agent starts: its own store, a program that is there, or
// one that was built here and is sent.
func (o *agentsOptions) hosted(t subject.Target, kinds []string) (subject.Target, error) {
	e := t.(subject.Exec) // as checkSubjects has seen
	own, err := os.Executable()
	switch {
	case err != nil:
		return nil, fmt.Errorf("finding this program: %w", err)
	case e.Program != "":
		return remote.Upload(o.link, e, e.Program), nil
	case e.Kind == builtIn && e.Command[0] == own:
		return remote.Store(o.link, e, e.Options, kinds), nil
	case e.Kind == builtIn:
		return remote.Upload(o.link, e, e.Command[0]), nil
	}
	return remote.Program(o.link, e), nil
}

// hostLine is what makes another machine's agent start subjects.
func hostLine(l agent.Login, name string) string {
	return agentLine(l, "--name="+name+" --subjects --subject-host=ADDRESS")
}
