package subject

import (
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// markerName is the environment variable by which the processes of an instance
// are known, whatever process group or session they have made for themselves.
const markerName = "EVENTOBENCH_INSTANCE"

func newMarker() string { return markerName + "=" + rand.Text() }

// janitor is a process that ends an instance's processes, and removes its
// scratch folder, when this process ends without having done so: the kernel
// kills only the command itself with its parent.
type janitor struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
}

// sweep reads ids of processes, the leader of a group first, until nobody holds
// the other end of its stdin. Then it ends these, and every process that has the
// marker in its environment or prints into the pipe that is file 3 here: a daemon
// that has shed its environment, group and parent has kept its output.
const sweep = `group= pids=
while read -r word; do
	[ "$word" = done ] && exit
	[ -z "$group" ] && group=$word
	pids="$pids $word"
done
[ -n "$group" ] && kill -KILL -"$group" $pids 2>/dev/null
while
	found=
	for environ in $(grep -lsaF -e "$1" /proc/[0-9]*/environ); do
		pid=${environ#/proc/}
		kill -KILL "${pid%/environ}" 2>/dev/null && found=1
	done
	for fd in /proc/[0-9]*/fd/[12]; do
		[ "$fd" -ef /proc/self/fd/3 ] || continue
		pid=${fd#/proc/}
		kill -KILL "${pid%/fd/*}" 2>/dev/null && found=1
	done
	[ -n "$found" ]
do sleep 0.05; done
[ -z "$2" ] || rm -rf -- "$2"`

// startJanitor starts the janitor of an instance, whose processes print into the
// pipe with the given end.
func startJanitor(marker, scratch string, pipe *os.File) (*janitor, error) {
	cmd := exec.Command("/bin/sh", "-c", sweep, "sh", marker, scratch)
	cmd.ExtraFiles = []*os.File{pipe}
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

// tell names a process that shall not outlive this one.
func (j *janitor) tell(pid int) { j.say(strconv.Itoa(pid)) }

// say writes a line. A janitor that was killed has no ear, and no use.
func (j *janitor) say(word string) { _, _ = io.WriteString(j.stdin, word+"\n") }

// dismiss ends the janitor, which finds nothing to do.
func (j *janitor) dismiss() {
	j.say("done")
	_ = j.stdin.Close()
	_ = j.cmd.Wait()
}
