package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/eventobench/eventobench/internal/testlong"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// hosts are computers, each a network namespace with an address in
// 10.77.0.0/24, at one switch.
type hosts struct{ name string }

// newNetwork makes the hosts 1 to n. It skips the test where that is not allowed.
func newNetwork(t *testing.T, n int) hosts {
	t.Helper()
	w := hosts{fmt.Sprintf("eventobench-%d", os.Getpid())}
	if out, err := exec.CommandContext(t.Context(), "ip", "netns", "add", w.host(0)).CombinedOutput(); err != nil {
		t.Skipf("no network namespaces here: %v: %s", err, out)
	}
	t.Cleanup(func() {
		for i := range n + 1 {
			_ = exec.Command("ip", "netns", "del", w.host(i)).Run() // as far as it was made
		}
	})
	w.run(t, 0, "ip link add switch type bridge")
	w.run(t, 0, "ip link set switch up")
	for i := 1; i <= n; i++ {
		w.must(t, "ip", "netns", "add", w.host(i))
		w.run(t, 0, fmt.Sprintf("ip link add port%d type veth peer name eth0 netns %s", i, w.host(i)))
		w.run(t, 0, fmt.Sprintf("ip link set port%d master switch up", i))
		w.run(t, i, "ip link set lo up")
		w.run(t, i, fmt.Sprintf("ip addr add %s/24 dev eth0", w.address(i)))
		w.run(t, i, "ip link set eth0 up")
	}
	return w
}

// host is the namespace of a host; that of the switch is 0.
func (w hosts) host(i int) string { return fmt.Sprintf("%s-%d", w.name, i) }

func (w hosts) address(i int) string { return fmt.Sprintf("10.77.0.%d", i) }

func (w hosts) must(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%q: %v: %s", args, err, out)
	}
}

// run runs a command on a host.
func (w hosts) run(t *testing.T, host int, command string) {
	t.Helper()
	w.must(t, append([]string{"ip", "netns", "exec", w.host(host)}, strings.Fields(command)...)...)
}

// start starts eventobench on a host, until the test ends.
func (w hosts) start(t *testing.T, host int, args ...string) {
	t.Helper()
	program, err := exec.LookPath("eventobench")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("ip", append([]string{"netns", "exec", w.host(host), program}, args...)...)
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait() // its code is of no interest
	})
}

// TestNamespaces: a recorder, a subject and two agents on four hosts. The way to one
// agent is slower, if the kernel can do that, and is cut after the first block.
func TestNamespaces(t *testing.T) {
	testlong.Need(t)
	const recorder, subject, near, far = 1, 2, 3, 4
	w := newNetwork(t, 4)
	delay := exec.Command("ip", "netns", "exec", w.host(far), "tc", "qdisc", "add", "dev", "eth0", "root", "netem", "delay", "1ms", "loss", "0.1%")
	if out, err := delay.CombinedOutput(); err != nil {
		t.Logf("without delay and loss: %s", out)
	}
	token := "secret"
	t.Setenv(tokenVariable, token)
	server := w.address(subject) + ":8080"
	nats := "--nats=nats://" + w.address(recorder) + ":4222"
	w.start(t, subject, "serve", "--store=sqlite::memory:", "--addr="+server, "--log-level=warn")
	w.start(t, near, "agent", "--name=near", nats, "--allow="+server)
	w.start(t, far, "agent", "--name=far", nats, "--allow="+w.address(subject)+"/32")
	out := t.TempDir()
	run := exec.CommandContext(t.Context(), "ip", "netns", "exec", w.host(recorder), "eventobench", "run", "--agents=2",
		"--nats-listen="+w.address(recorder)+":4222", "--allow-remote", "--subject=url:http://"+server, "--get=/health",
		"--blocks=6", "--rounds=4", "--slice=50ms", "--warmup=20", "--profiles=none", "--out="+out)
	stderr, err := run.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	r := &running{cmd: run, text: bufio.NewReader(stderr)}
	r.waitFor(t, "load from 2 agents: far (")
	r.waitFor(t, "1 of 6 blocks")
	w.run(t, 0, fmt.Sprintf("ip link set port%d down", far))
	if code, text := r.end(t); code != 0 {
		t.Fatalf("exit code %d: %s", code, text)
	}
	dirs, err := filepath.Glob(filepath.Join(out, "*"))
	if err != nil || len(dirs) != 1 {
		t.Fatalf("folders %q, %v", dirs, err)
	}
	recorded, err := runfolder.Open(dirs[0])
	if err != nil {
		t.Fatal(err)
	}
	blocks := recorded.Manifest.Blocks
	if len(blocks) != 6 || len(blocks[0].Agents) != 2 || len(blocks[5].Agents) != 1 || blocks[5].Agents[0].Name != "near" {
		t.Errorf("%d blocks, the last by %+v", len(blocks), blocks[len(blocks)-1].Agents)
	}
}
