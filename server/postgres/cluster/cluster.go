// Package cluster starts PostgreSQL clusters that live as long as the process
// that started them: for tests and for measuring.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrNotInstalled is the error of Start where there are no server programs.
var ErrNotInstalled = errors.New("PostgreSQL's server programs are neither in PATH nor in /usr/lib/postgresql; " +
	"install them, as with: apt-get install -y --no-install-recommends postgresql")

const superuser = "postgres"

// Options say how a cluster runs. The zero value is that of a durable one.
type Options struct {
	Dir      string            // folder to make the cluster's own folder in; that of temporary files if empty
	Settings map[string]string // of the server, beyond the defaults of PostgreSQL
	Log      io.Writer         // takes the server's log; nil for none
}

// Passing are the options of a cluster whose content nobody will miss: it neither
// waits for the disk nor lies on one, where the system has a folder in memory.
// A database is 300 files, and to create and remove these is most of its cost.
func Passing() Options {
	return Options{Dir: memoryDir(), Settings: map[string]string{"fsync": "off"}}
}

// Cluster is a running cluster. It listens on a Unix socket in its folder, which
// only its own user and root can enter, and lets these in without a password.
// Processes and folder are gone after Stop, and also when this process ends
// without one, however it ends.
type Cluster struct {
	dir     string
	account *account // nil for that of this process
	server  *process
	janitor *janitor

	mu        sync.Mutex
	databases int
	stopped   bool
}

// Start creates a cluster and starts it. The caller must Stop it.
func Start(ctx context.Context, o Options) (c *Cluster, err error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	c = &Cluster{}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("starting a PostgreSQL cluster: %w", err), c.Stop())
			c = nil
		}
	}()
	if c.account, err = serverAccount(); err != nil {
		return c, err
	}
	if err := c.makeDir(o.Dir); err != nil {
		return c, err
	}
	if err := c.initialize(ctx, bin); err != nil {
		return c, err
	}
	if err := c.launch(bin, o); err != nil {
		return c, err
	}
	return c, c.awaitReady(ctx)
}

// programs returns the folder of the server programs: that of PATH, or else of
// the newest version that Debian's packages have installed.
func programs() (string, error) {
	if found, err := exec.LookPath("initdb"); err == nil {
		resolved, err := filepath.EvalSymlinks(found)
		if err == nil && exists(filepath.Join(filepath.Dir(resolved), "postgres")) {
			return filepath.Dir(resolved), nil
		}
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres") // the pattern is valid
	if len(found) == 0 {
		return "", ErrNotInstalled
	}
	newest := slices.MaxFunc(found, func(a, b string) int { return majorVersion(a) - majorVersion(b) })
	return filepath.Dir(newest), nil
}

// Installed reports whether there are server programs.
func Installed() bool {
	_, err := programs()
	return err == nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// majorVersion is that of a program in /usr/lib/postgresql/VERSION/bin.
func majorVersion(program string) int {
	version, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(program)))) // 0 for what has none
	return version
}

// makeDir makes the cluster's folder, and sees to it that it goes.
func (c *Cluster) makeDir(parent string) (err error) {
	if c.dir, err = os.MkdirTemp(parent, "eventobench-postgres-"); err != nil {
		return err
	}
	if c.dir, err = filepath.Abs(c.dir); err != nil {
		return err
	}
	if c.janitor, err = startJanitor(c.dir); err != nil {
		return err
	}
	if c.account == nil {
		return nil
	}
	return os.Chown(c.dir, c.account.uid, c.account.gid)
}

func (c *Cluster) data() string { return filepath.Join(c.dir, "data") }

// initialize creates the data folder. It does not wait for the disk: a cluster
// that a power cut catches at its birth is no loss. The server does.
func (c *Cluster) initialize(ctx context.Context, bin string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "--pgdata="+c.data(), "--username="+superuser,
		"--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions")
	c.confine(cmd)
	out, err := cmd.CombinedOutput()
	if errors.Is(err, fs.ErrPermission) && c.account != nil {
		return fmt.Errorf("initdb: %w; the user that it runs as, %s or nobody, must be able to enter %s",
			err, superuser, filepath.Dir(c.dir))
	}
	if err != nil {
		return fmt.Errorf("initdb: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// launch starts the server.
func (c *Cluster) launch(bin string, o Options) (err error) {
	args := []string{"-D", c.data(), "-k", c.dir, "-c", "listen_addresses=", "-c", "fsync=on"}
	for name, value := range o.Settings {
		args = append(args, "-c", name+"="+value)
	}
	cmd := exec.Command(filepath.Join(bin, "postgres"), args...)
	c.confine(cmd)
	cmd.Stdout, cmd.Stderr = o.Log, o.Log
	if c.server, err = start(cmd); err != nil {
		return fmt.Errorf("postgres: %w", err)
	}
	return nil
}

// confine makes a program run in the cluster's folder, as its account, and
// apart from the terminal: Ctrl-C is for this process, which then stops it.
func (c *Cluster) confine(cmd *exec.Cmd) {
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.SysProcAttr = processAttributes(c.account)
}

// URL is where a database of the cluster is reached.
func (c *Cluster) url(database string) string {
	u := url.URL{Scheme: "postgres", User: url.User(superuser), Path: "/" + database}
	u.RawQuery = url.Values{"host": {c.dir}}.Encode()
	return u.String()
}

// awaitReady waits until the server accepts connections.
func (c *Cluster) awaitReady(ctx context.Context) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := c.execute(ctx, "SELECT 1")
		if err == nil {
			return nil
		}
		select {
		case <-c.server.ended:
			return fmt.Errorf("postgres ended before it was ready (%v); its log says why", c.server.err)
		case <-ctx.Done():
			return fmt.Errorf("waiting for postgres: %w: %w", ctx.Err(), err)
		case <-ticker.C:
		}
	}
}

// execute runs a statement in the database that is there from the start.
func (c *Cluster) execute(ctx context.Context, statement string) error {
	conn, err := pgx.Connect(ctx, c.url("postgres"))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statement)
	return errors.Join(err, conn.Close(ctx))
}

// CreateDatabase creates an empty database and returns its URL.
func (c *Cluster) CreateDatabase(ctx context.Context) (url string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.databases++
	name := "eventobench_" + strconv.Itoa(c.databases)
	if err := c.execute(ctx, "CREATE DATABASE "+name); err != nil {
		return "", fmt.Errorf("creating a database in the PostgreSQL cluster: %w", err)
	}
	return c.url(name), nil
}

// DropDatabase removes a database that CreateDatabase created, and ends the
// connections to it.
func (c *Cluster) DropDatabase(ctx context.Context, url string) error {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return err
	}
	name := pgx.Identifier{config.Database}.Sanitize()
	if err := c.execute(ctx, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
		return fmt.Errorf("dropping a database of the PostgreSQL cluster: %w", err)
	}
	return nil
}

// Stop ends the cluster at once and removes its folder. Nothing in it survives.
// Stopping it again does nothing.
func (c *Cluster) Stop() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return nil
	}
	c.stopped = true
	if c.server != nil {
		c.server.signal(syscall.SIGQUIT)
		<-c.server.ended
	}
	if c.janitor == nil {
		return c.removeDir()
	}
	return errors.Join(c.removeDir(), c.janitor.dismiss())
}

func (c *Cluster) removeDir() error {
	if c.dir == "" {
		return nil
	}
	return os.RemoveAll(c.dir)
}

// PID is the id of the server's process that starts all others.
func (c *Cluster) PID() int { return c.server.cmd.Process.Pid }

// Dir is the cluster's folder.
func (c *Cluster) Dir() string { return c.dir }
