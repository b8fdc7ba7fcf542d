package cluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/eventobench/eventobench/internal/testaid"
	"github.com/eventobench/eventobench/internal/testlong"
)

// startForKill, if set, makes the test program start a cluster and wait to be
// killed.
const startForKill = "EVENTOBENCH_TEST_CLUSTER"

func TestMain(m *testing.M) {
	if os.Getenv(startForKill) != "" {
		if err := startAndWait(); err != nil {
			fmt.Println("failed:", err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func startAndWait() error {
	c, err := Start(context.Background(), Passing())
	if err != nil {
		return err
	}
	pids, err := c.PIDs()
	if err != nil {
		return err
	}
	fmt.Println(c.Dir())
	fmt.Println(strings.Trim(fmt.Sprint(pids), "[]"))
	select {}
}

func startForTest(t *testing.T, o Options) *Cluster {
	t.Helper()
	c, err := Start(t.Context(), o)
	if errors.Is(err, ErrNotInstalled) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) }) // the server may be gone before
	return conn
}

func show(t *testing.T, conn *pgx.Conn, setting string) (value string) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), "SELECT current_setting($1)", setting).Scan(&value); err != nil {
		t.Error(err)
	}
	return value
}

// TestCluster holds that databases are fresh, and that the server is durable.
func TestCluster(t *testing.T) {
	c := startForTest(t, Options{Dir: Passing().Dir, Settings: map[string]string{"max_connections": "33"}})
	urls := map[string]*pgx.Conn{}
	for range 2 {
		url, err := c.CreateDatabase(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		conn := connect(t, url)
		if _, err := conn.Exec(t.Context(), "CREATE TABLE only_once (n int)"); err != nil {
			t.Error(err)
		}
		urls[url] = conn
	}
	if len(urls) != 2 {
		t.Errorf("databases %v, want 2", urls)
	}
	for url, conn := range urls {
		for setting, want := range map[string]string{
			"fsync": "on", "synchronous_commit": "on", "listen_addresses": "", "max_connections": "33",
		} {
			if got := show(t, conn, setting); got != want {
				t.Errorf("%s is %q, want %q", setting, got, want)
			}
		}
		if err := c.DropDatabase(t.Context(), url); err != nil {
			t.Error(err)
		}
	}
}

// waitGone waits until a process has ended.
func waitGone(t *testing.T, pid int) {
	t.Helper()
	testaid.Until(t, fmt.Sprintf("process %d is still there", pid), func() bool {
		return !testaid.Alive(pid)
	})
}

// TestSweepBesideAZombie: a server that has ended is no reason to wait, though nobody has
// waited for it.
func TestSweepBesideAZombie(t *testing.T) {
	t.Parallel()
	server := exec.CommandContext(t.Context(), "true")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Wait() })
	waitGone(t, server.Process.Pid)
	dir := filepath.Join(t.TempDir(), "cluster")
	if err := os.MkdirAll(filepath.Join(dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	pid := filepath.Join(dir, "data", "postmaster.pid")
	if err := os.WriteFile(pid, fmt.Appendln(nil, server.Process.Pid), 0o600); err != nil {
		t.Fatal(err)
	}
	j, err := startJanitor(dir)
	if err != nil {
		t.Fatal(err)
	}
	_ = j.stdin.Close() // as if this process had ended
	waitRemoved(t, dir)
	if err := j.cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func waitRemoved(t *testing.T, dir string) {
	t.Helper()
	testaid.Until(t, fmt.Sprintf("folder %s is still there", dir), func() bool { return !exists(dir) })
}

func TestStop(t *testing.T) {
	t.Parallel()
	c := startForTest(t, Passing())
	pids, err := c.PIDs()
	if err != nil || len(pids) < 2 {
		t.Errorf("processes %v (%v)", pids, err)
	}
	for range 2 {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	}
	for _, pid := range append(pids, c.janitor.cmd.Process.Pid) {
		waitGone(t, pid)
	}
	if exists(c.Dir()) {
		t.Errorf("%s is still there", c.Dir())
	}
}

// TestKilled kills a process that has a cluster, in each way that gives it no
// chance to stop it.
func TestKilled(t *testing.T) {
	t.Parallel()
	if _, err := programs(); err != nil {
		t.Skip(err)
	}
	signals := []syscall.Signal{syscall.SIGKILL, syscall.SIGQUIT, syscall.SIGINT}
	for _, signal := range signals[:testlong.Share(len(signals), len(signals))] {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), startForKill+"=1")
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(stdout)
			lines.Scan()
			dir := lines.Text()
			lines.Scan()
			pids := strings.Fields(lines.Text())
			_ = cmd.Process.Signal(signal)
			_ = cmd.Wait() // it was killed
			if !strings.HasPrefix(dir, "/") || len(pids) < 2 {
				t.Fatalf("folder %q, processes %q", dir, pids)
			}
			for _, text := range pids {
				pid, err := strconv.Atoi(text)
				if err != nil {
					t.Fatal(err)
				}
				waitGone(t, pid)
			}
			waitRemoved(t, dir)
		})
	}
}

// TestFailures holds that a cluster that cannot start leaves nothing, and says
// why.
func TestFailures(t *testing.T) {
	t.Parallel()
	if _, err := programs(); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(strings.TrimSuffix(dir, "/001"), 0o777); err != nil {
		t.Fatal(err)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range []struct {
		ctx     context.Context
		options Options
		want    string
	}{
		{t.Context(), Options{Dir: dir, Settings: map[string]string{"no_such_setting": "1"}}, "ended before it was ready"},
		{t.Context(), Options{Dir: dir + "/none"}, "no such file"},
		{canceled, Options{Dir: dir}, "canceled"},
	} {
		c, err := Start(tt.ctx, tt.options)
		if c != nil || err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("cluster %v, error %v, want one with %q", c, err, tt.want)
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left in the folder: %v (%v)", left, err)
	}
}
