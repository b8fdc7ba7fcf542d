package cluster

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"runtime"
	"strconv"
	"syscall"
)

// account is whom the server runs as.
type account struct{ uid, gid int }

// serverAccount returns the account for a server that root starts, which
// PostgreSQL's programs refuse to be: the user postgres, or else nobody. Any
// other user's server is their own; there is no account for it.
func serverAccount() (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{superuser, "nobody"} {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.Atoi(found.Uid)
		gid, gidErr := strconv.Atoi(found.Gid)
		if uidErr == nil && gidErr == nil {
			return &account{uid, gid}, nil
		}
	}
	return nil, fmt.Errorf("PostgreSQL does not run as root, and there is neither a user %s nor nobody", superuser)
}

// process is a program that was started.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed once err is final
	err   error
}

// start starts a program from a thread that lives until it ends: the signal that
// a program gets when its parent dies is in truth about the thread.
func start(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, ended: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.ended)
		}
	}()
	return p, <-started
}

// signal sends a signal; a process that has ended gets none.
func (p *process) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// janitor is a process that removes a cluster's folder, and the server if there
// is one, when this process ends without having done so.
type janitor struct {
	cmd   *exec.Cmd
	stdin io.Closer
}

// sweep waits until nobody holds the other end of its stdin. A server that has ended may
// stay a zombie for good: the first process of a container often waits for nobody.
const sweep = `read -r _
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
if [ -n "$pid" ]; then
	kill -QUIT "$pid" 2>/dev/null
	while kill -0 "$pid" 2>/dev/null && ! grep -qs '^State:[[:space:]]*Z' "/proc/$pid/status"; do sleep 0.05; done
fi
rm -rf -- "$1"
# initdb may have been at work, and have made more meanwhile
while [ -e "$1" ]; do sleep 0.05; rm -rf -- "$1"; done`

func startJanitor(dir string) (*janitor, error) {
	cmd := exec.Command("/bin/sh", "-c", sweep, "sh", dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // Ctrl-C is not for it
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the process that cleans up: %w", err)
	}
	return &janitor{cmd, stdin}, nil
}

// dismiss ends the janitor, which finds nothing to do.
func (j *janitor) dismiss() error {
	_ = j.stdin.Close() // closing a pipe fails only when it is closed already
	return j.cmd.Wait()
}
