package subject

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

const (
	startTimeout = 15 * time.Second // for a subject to listen and to answer
	stopTimeout  = 5 * time.Second  // for a subject to end by itself after SIGTERM
)

// What stands in a command, an environment or the URL of debug pages for what
// each process gets of its own.
const (
	ChosenAddress = "{addr}"  // ChosenHost:ChosenPort
	ChosenHost    = "{host}"  // 127.0.0.1, or Exec.Host
	ChosenPort    = "{port}"  // a free port, on which the process must listen
	SecondPort    = "{port2}" // another free port, for debug pages
	ScratchFolder = "{dir}"   // an empty folder, which is removed when the process has ended

	FreshDatabase = "{database}" // the URL of an empty database, which is dropped then; of one with a Database
)

// loopback is the host that processes are told to listen on, unless there is another.
const loopback = "127.0.0.1"

// Exec is a server under test that is a program. Where it listens is known in
// one of four ways: it has ChosenAddress or ChosenPort in its command; or a
// fixed Address; or, having neither, it prints "listening on URL" as a line of
// its own once it accepts connections; or else it opens a port, which is then
// found, among those of all processes that the command started. If one of these
// is the ChosenPort of its environment, it is that.
type Exec struct {
	Name    string               // distinct within an experiment; ends the folder's name
	Kind    string               // for the manifest, such as built-in
	Command []string             // program and arguments
	Env     []string             // NAME=VALUE, beyond the environment of this process
	Dir     string               // working directory; that of this process if empty
	Options map[string]string    // for the manifest: what sets this subject apart
	Build   *runfolder.BuildInfo // for the manifest: how the program was made; may be nil
	Program string               // that was made, somewhere in Command; empty if Build is nil
	Scheme  string               // of the server under test, unless it prints its URL; http if empty
	Address string               // host:port, if every process listens on the same
	Ready   string               // how to see that it is ready, see ReadyTCP
	Debug   string               // where the debug pages are, see ParseDebugPages; the server under test if empty
	Timeout time.Duration        // for it to become ready; 0 for 15 s
	Scratch string               // the folder in which ScratchFolder is made, if something has it
	Remote  bool                 // it may listen on an address that is not loopback
	Host    string               // of this machine, on which it must listen for others; loopback if empty
	Under   []string             // program and arguments that run the command, such as valgrind
	Ending  time.Duration        // for it to end by itself after SIGTERM; 0 for 5 s

	// Layouts begins to link the program anew. It is nil if the program was not built
	// for this.
	Layouts func(ctx context.Context) (Layouts, error)

	NullControl bool // for the manifest: it is the base once more

	Database Database // that makes FreshDatabase; nil if there is none
}

// Layouts links the program of a subject with its functions in other orders.
type Layouts interface {
	// Link gives a subject that is otherwise the same. There is one for every seed, and
	// its program is there until the next is linked.
	Link(ctx context.Context, seed int64) (Target, error)
	Close() error
}

// String is the subject's name.
func (e Exec) String() string { return e.Name }

// Info reads the program file: the one that was built, or else the command's.
func (e Exec) Info() (runfolder.SubjectInfo, error) {
	info := runfolder.SubjectInfo{
		Name: e.Name, Kind: e.Kind, Command: e.Command, Options: e.Options, Build: e.Build,
		NullControl: e.NullControl,
	}
	if len(e.Command) == 0 {
		return info, fmt.Errorf("subject %s has no command to start it with", e.Name)
	}
	path, err := exec.LookPath(e.program())
	if err == nil {
		info.Binary, err = readBinary(cmp.Or(e.Program, path))
	}
	if err != nil {
		return info, fmt.Errorf("subject %s: %w", e.Name, err)
	}
	return info, nil
}

// program is the command's first word as seen from here: one that names a path
// is relative to the working directory of the subject.
func (e Exec) program() string {
	first := e.Command[0]
	if e.Dir == "" || !strings.Contains(first, "/") || strings.HasPrefix(first, "/") {
		return first
	}
	return e.Dir + "/" + first
}

// host is where processes listen.
func (e Exec) host() string { return cmp.Or(e.Host, loopback) }

// Start starts the program. If another program takes a chosen port before this
// one can, it is started once more, with others.
func (e Exec) Start(ctx context.Context, log io.Writer) (Instance, error) {
	p, err := e.startOnce(ctx, log)
	if p.lostPort {
		p, err = e.startOnce(ctx, log)
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// startOnce returns, also with an error, what was started.
func (e Exec) startOnce(ctx context.Context, log io.Writer) (*process, error) {
	p := &process{Exec: e, output: newOutput(log), marker: newMarker(), exited: make(chan struct{})}
	if err := p.start(ctx); err != nil {
		p.cleanUp()
		// What listened may have been looking for a free port itself, and be gone.
		p.lostPort = p.occupied && len(p.ports) > 0 || p.isPortTaken()
		return p, fmt.Errorf("starting subject %s: %w", e.Name, err)
	}
	if err := p.awaitReady(ctx); err != nil {
		died := !p.lives()
		p.Stop()
		p.lostPort = died && p.isPortTaken()
		return p, err
	}
	p.findServer()
	if err := p.checkPages(); err != nil {
		p.Stop()
		return p, err
	}
	return p, nil
}

// isPortTaken reports whether a port that was chosen for the process is not free.
func (p *process) isPortTaken() bool {
	for _, port := range p.ports {
		if !isFree(net.JoinHostPort(p.host(), port)) {
			return true
		}
	}
	return false
}

// chosen is what a process gets of its own.
type chosen struct {
	replacer *strings.Replacer
	address  string // where it must listen; empty if it was not told
	offered  string // port on which it may listen, as its environment says; may be empty
}

// choose makes what the command, the environment and the URL of debug pages ask
// for.
func (p *process) choose(ctx context.Context) (chosen, error) {
	var c chosen
	command := strings.Join(p.Command, "\n")
	all := strings.Join(append(slices.Clone(p.Env), command, p.Exec.Debug), "\n")
	ports, err := freePorts(p.host(), 2)
	if err != nil {
		return c, err
	}
	first, second := strconv.Itoa(ports[0]), strconv.Itoa(ports[1])
	address := net.JoinHostPort(p.host(), first)
	if asksForPort(command) {
		c.address = address
	} else if asksForPort(strings.Join(p.Env, "\n")) {
		c.offered = first
	}
	if asksForPort(all) {
		p.ports = append(p.ports, first)
	}
	if strings.Contains(all, SecondPort) {
		p.ports = append(p.ports, second)
	}
	if strings.Contains(all, ScratchFolder) {
		p.scratch, err = os.MkdirTemp(p.Scratch, "eventobench-")
	}
	if err == nil && p.Database != nil {
		p.database, err = p.Database.Create(ctx)
	}
	c.replacer = strings.NewReplacer(ChosenAddress, address, ChosenHost, p.host(),
		ChosenPort, first, SecondPort, second, ScratchFolder, p.scratch, FreshDatabase, p.database)
	c.address = cmp.Or(c.address, p.Address)
	return c, err
}

func asksForPort(text string) bool {
	return strings.Contains(text, ChosenAddress) || strings.Contains(text, ChosenPort)
}

// The ports to choose from lie below those that systems give to connections, and to
// servers that do not mind (32768 and up on Linux, 49152 elsewhere): one of those
// might be taken before the process listens on it.
const lowestPort, highestPort = 20000, 32767

// freePorts are ports of a host of this machine that nothing listens on.
func freePorts(host string, n int) ([]int, error) {
	const tries = 1000
	var ports []int
	for range tries {
		port := lowestPort + rand.IntN(highestPort-lowestPort+1)
		if slices.Contains(ports, port) || !isFree(net.JoinHostPort(host, strconv.Itoa(port))) {
			continue
		}
		if ports = append(ports, port); len(ports) == n {
			return ports, nil
		}
	}
	return nil, fmt.Errorf("looking for a free port: of %d from %d to %d all are taken", tries, lowestPort, highestPort)
}

// isFree reports whether nothing listens on an address, and something could. To have
// listened there oneself is not enough: a process that is being started meanwhile, in
// another goroutine, has what this one has until it runs its own program.
func isFree(address string) bool {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return false
	}
	_ = l.Close()
	return !isListening(address)
}

// replaceAll fills in what a process gets of its own.
func (c chosen) replaceAll(texts []string) []string {
	var replaced []string
	for _, text := range texts {
		replaced = append(replaced, c.replacer.Replace(text))
	}
	return replaced
}
