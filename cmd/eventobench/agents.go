package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/pflag"

	"github.com/eventobench/eventobench/internal/texttab"
	"github.com/eventobench/eventobench/loadgen"
	"github.com/eventobench/eventobench/loadgen/agent"
	"github.com/eventobench/eventobench/profiles"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// agentsOptions are the flags of a recorder whose load agents make.
type agentsOptions struct {
	agents int
	spawn  int // of them; spawnAll for all
	login  loginOptions
	listen string
	cert   string
	key    string
	wait   time.Duration

	subjectAgent string // name of the agent that starts the subjects; empty for this process

	flags *pflag.FlagSet // of the command

	fleet *agent.Fleet // while the experiment is recorded
	link  *agent.Link  // likewise, to the agent that starts the subjects
}

const (
	spawnAll       = -1
	listenAnywhere = "127.0.0.1:0" // on this machine
)

func (o *agentsOptions) addFlags(f *pflag.FlagSet) {
	o.flags = f
	f.IntVar(&o.agents, "agents", 0, "agents that make the load between them, instead of this process")
	f.IntVar(&o.spawn, "spawn", 0,
		"start so many of the agents on this machine, for the time of the run; without a number, all")
	f.Lookup("spawn").NoOptDefVal = fmt.Sprint(spawnAll)
	o.login.addFlags(f, "URL of the NATS server at which agents are found; without it one is started")
	f.StringVar(&o.listen, "nats-listen", listenAnywhere,
		"where NATS listens if it is started: HOST:PORT, with port 0 for a free one")
	f.StringVar(&o.cert, "nats-cert", "", "file of the certificate (PEM) of NATS if it is started, for TLS")
	f.StringVar(&o.key, "nats-key", "", "file of the key of --nats-cert")
	f.DurationVar(&o.wait, "agents-wait", time.Minute, "time to wait for agents")
	f.StringVar(&o.subjectAgent, "subject-agent", "",
		"name of the agent (agent --subjects) that starts and measures the subjects, on its machine")
}

// validate returns an error about flags that do not go together.
func (o *agentsOptions) validate(workers int) error {
	if err := o.checkUnused(); err != nil {
		return err
	}
	switch {
	case o.agents < 0 || o.spawn < spawnAll || o.spawn > o.agents:
		return fmt.Errorf("--agents=%d, --spawn=%d: give numbers, the second up to the first", o.agents, o.spawn)
	case o.agents > workers:
		return fmt.Errorf("%d agents need as many --workers or more: each of them has some", o.agents)
	case (o.cert == "") != (o.key == ""):
		return errors.New("--nats-cert and --nats-key go together")
	case o.cert != "" && o.login.URL != "":
		return errors.New("--nats-cert is for a NATS server that is started; leave out --nats")
	case o.listen != listenAnywhere && o.login.URL != "":
		return errors.New("--nats-listen is for a NATS server that is started; leave out --nats")
	}
	return nil
}

// checkUnused returns an error about a flag that needs agents if there are to be none, unless
// the project's configuration has it.
func (o *agentsOptions) checkUnused() error {
	names := []string{"spawn", "nats", "nats-token", "nats-creds", "nats-ca", "nats-listen", "nats-cert", "nats-key", "agents-wait"}
	if o.subjectAgent != "" {
		names = names[:1]
	}
	for _, name := range names {
		if o.agents == 0 && o.flags.Changed(name) && !configured(o.flags, name) {
			return fmt.Errorf("--%s is for --agents; say how many", name)
		}
	}
	return nil
}

// drive is what puts the load on subjects: this process or, when the experiment is
// recorded, the agents that were gathered.
func (o *agentsOptions) drive(
	t traffic,
) func(s runfolder.SubjectInfo, server *url.URL, seed uint64) profiles.Generator {
	if o.agents == 0 {
		return drive(t)
	}
	return func(s runfolder.SubjectInfo, server *url.URL, seed uint64) profiles.Generator {
		return o.fleet.NewGenerator(server, inProtocol(t.workload, s.Options[protocolOption]), t.load, t.trust, seed)
	}
}

// allHere reports whether all that makes load is on this machine.
func (o *agentsOptions) allHere() bool {
	return o.spawn == spawnAll || o.spawn == o.agents
}

// started is what is ended, in the opposite order, when the experiment is over.
type started []func()

func (s started) end() {
	for _, end := range slices.Backward(s) {
		end()
	}
}

// gather starts what is to be started, and waits for the agents. The function that it
// returns lets them go, and ends what was started.
func (o *agentsOptions) gather(ctx context.Context, log io.Writer) (release func(), err error) {
	var all started
	if o.agents > 0 || o.subjectAgent != "" {
		err = o.start(ctx, &all, func(text string) { fmt.Fprintln(log, text) })
	}
	if err != nil {
		all.end()
		return nil, err
	}
	return all.end, nil
}

func (o *agentsOptions) start(ctx context.Context, all *started, note func(string)) error {
	login := o.login.login()
	if login.URL == "" {
		server, err := o.startServer(&login)
		if err != nil {
			return err
		}
		*all = append(*all, server.Stop)
	}
	nc, err := login.Connect("eventobench recorder", false, note)
	if err != nil {
		return err
	}
	*all = append(*all, nc.Close)
	if err := o.dial(ctx, nc, login, all, note); err != nil || o.agents == 0 {
		return err
	}
	own, err := o.spawnAgents(login)
	*all = append(*all, func() { endAll(own) })
	if err != nil {
		return err
	}
	if missing := o.agents - len(own); missing > 0 {
		note(fmt.Sprintf("waiting up to %v for %s; on each machine, with what it may load as --allow:\n  %s",
			o.wait, texttab.Count(missing, "agent"), joinLine(login)))
	}
	if o.fleet, err = o.await(ctx, nc, own, note); err != nil {
		return err
	}
	*all = append(*all, o.fleet.Close)
	if o.link != nil {
		o.fleet.LoadOn(o.link)
	}
	note("load from " + describeAgents(o.fleet.Infos()))
	return nil
}

// dial finds the agent that starts the subjects, if there is to be one.
func (o *agentsOptions) dial(
	ctx context.Context, nc *nats.Conn, l agent.Login, all *started, note func(string),
) (err error) {
	if o.subjectAgent == "" {
		return nil
	}
	note(fmt.Sprintf("waiting up to %v for the agent that starts the subjects; on its machine, with its address:\n  %s",
		o.wait, hostLine(l, o.subjectAgent)))
	ctx, cancel := context.WithTimeout(ctx, o.wait)
	defer cancel()
	if o.link, err = agent.Dial(ctx, nc, o.subjectAgent, note); err != nil {
		return err
	}
	*all = append(*all, o.link.Close)
	note(fmt.Sprintf("subjects by agent %s (%s)", o.link.Name, texttab.Count(o.link.Cores, "core")))
	return nil
}

// startServer starts NATS, and completes the login to it. If NATS is started again for another
// experiment, agents find it where it was.
func (o *agentsOptions) startServer(login *agent.Login) (*agent.Server, error) {
	if login.Token == "" {
		login.Token = rand.Text()
	}
	server, err := agent.StartServer(o.listen, login.Token, o.cert, o.key)
	if err != nil {
		return nil, err
	}
	login.URL = server.URL
	o.login.Token = login.Token
	_, o.listen, _ = strings.Cut(server.URL, "://")
	if o.cert != "" && login.CA == "" {
		login.CA = o.cert
	}
	return server, nil
}

// await waits for the agents, unless one that was started has ended.
func (o *agentsOptions) await(
	ctx context.Context, nc *nats.Conn, own []*spawned, note func(string),
) (*agent.Fleet, error) {
	ctx, cancel := context.WithTimeout(ctx, o.wait)
	defer cancel()
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	for _, s := range own {
		go func() {
			select {
			case <-s.ended:
				end(s.death())
			case <-ctx.Done():
			}
		}()
	}
	fleet, err := agent.Gather(ctx, nc, o.agents, note)
	if cause := context.Cause(ctx); err != nil && !errors.Is(cause, ctx.Err()) {
		err = cause
	}
	return fleet, err
}

// joinLine is what makes another machine's agent join.
func joinLine(l agent.Login) string { return agentLine(l, "--allow=HOST:PORT") }

// agentLine is the command of an agent with some flags.
func agentLine(l agent.Login, flags string) string {
	line := "eventobench agent --nats=" + l.URL + " " + flags
	_, address, hasScheme := strings.Cut(l.URL, "://")
	if host, port, err := net.SplitHostPort(address); hasScheme && err == nil && isAnyHost(host) {
		line = strings.Replace(line, address, "THIS_HOST:"+port, 1)
	}
	if l.Token != "" {
		line = tokenVariable + "=" + l.Token + " " + line
	}
	if l.CA != "" {
		line += " --nats-ca=" + l.CA
	}
	return line
}

func isAnyHost(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}

func describeAgents(agents []agent.Info) string {
	var names []string
	for _, a := range agents {
		names = append(names, fmt.Sprintf("%s (%s)", a.Name, texttab.Count(a.Cores, "core")))
	}
	return texttab.Count(len(agents), "agent") + ": " + strings.Join(names, ", ")
}

// spawned is an agent that this process has started.
type spawned struct {
	name   string
	cmd    *exec.Cmd
	stdin  io.Closer
	stderr bytes.Buffer
	ended  chan struct{}
}

// spawnAgents starts agents on this machine, which end with this process however that
// ends. It returns those that were started, also with an error.
func (o *agentsOptions) spawnAgents(l agent.Login) (all []*spawned, err error) {
	n := o.spawn
	if n == spawnAll {
		n = o.agents
	}
	program, err := os.Executable()
	for i := 0; i < n && err == nil; i++ {
		s := &spawned{name: fmt.Sprintf("local-%d", i+1), ended: make(chan struct{})}
		if err = s.start(program, l); err == nil {
			all = append(all, s)
		}
	}
	if err != nil {
		err = fmt.Errorf("starting an agent: %w", err)
	}
	return all, err
}

// start starts the agent. What it may load is for this process to decide, which has
// looked at its subjects.
func (s *spawned) start(program string, l agent.Login) (err error) {
	s.cmd = exec.Command(program, "agent", "--with-parent", "--name="+s.name, "--nats="+l.URL,
		"--nats-creds="+l.Creds, "--nats-ca="+l.CA, "--allow=0.0.0.0/0,::/0",
		fmt.Sprintf("--max-rate=%.0f", loadgen.MaxRate), "--max-connections=100000", "--max-time=8760h")
	s.cmd.Env = append(os.Environ(), tokenVariable+"="+l.Token)
	s.cmd.Stderr = &s.stderr
	s.cmd.SysProcAttr = childAttributes()
	if s.stdin, err = s.cmd.StdinPipe(); err != nil {
		return err
	}
	if err = s.cmd.Start(); err != nil {
		return err
	}
	go func() {
		defer close(s.ended)
		_ = s.cmd.Wait() // how it ended is in ProcessState
	}()
	return nil
}

// death explains the end of an agent.
func (s *spawned) death() error {
	return fmt.Errorf("agent %s ended (%v): %s", s.name, s.cmd.ProcessState, strings.TrimSpace(s.stderr.String()))
}

// endAll ends agents: by the end of their stdin, and one that does not mind by a signal.
func endAll(all []*spawned) {
	for _, s := range all {
		_ = s.stdin.Close()
	}
	deadline := time.After(time.Second)
	for _, s := range all {
		select {
		case <-s.ended:
		case <-deadline:
			for _, s := range all {
				_ = s.cmd.Process.Kill() // those that have ended cannot be meant
			}
		}
		<-s.ended
	}
}
