package remote

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/eventobench/eventobench/loadgen/agent"
)

// programs are those that a recorder has sent, the latest last. They are kept in memory,
// in files that have no name and that end with this process, however that ends.
type programs struct {
	all      []program
	received agent.Assembly // of the next one
}

type program struct {
	hash string
	file *os.File
	size int
}

// receive puts a program together. Programs that run keep their place.
func (ps *programs) receive(p agent.Piece, runs func(hash string) bool) error {
	data, complete, err := ps.received.Add(p, maxProgram)
	switch {
	case errors.Is(err, agent.ErrTooLarge):
		return fmt.Errorf("it takes programs of up to %d MiB", maxProgram>>20)
	case err != nil:
		return fmt.Errorf("a program arrived %w", err)
	case !complete:
		return nil
	}
	if _, there := ps.path(p.Hash); there {
		return nil
	}
	if err := ps.makeRoom(len(data), runs); err != nil {
		return err
	}
	file, err := inMemory(data)
	if err != nil {
		return err
	}
	ps.all = append(ps.all, program{p.Hash, file, len(data)})
	return nil
}

// makeRoom forgets the oldest programs that do not run until there is room for one more.
func (ps *programs) makeRoom(size int, runs func(hash string) bool) error {
	for len(ps.all) == maxPrograms || ps.size()+size > maxHeld {
		i := slices.IndexFunc(ps.all, func(p program) bool { return !runs(p.hash) })
		if i < 0 {
			return fmt.Errorf("it takes %d programs of %d MiB at a time, and those that it has run", maxPrograms, maxHeld>>20)
		}
		_ = ps.all[i].file.Close() // nothing was written that could fail
		ps.all = slices.Delete(ps.all, i, i+1)
	}
	return nil
}

func (ps *programs) size() (sum int) {
	for _, p := range ps.all {
		sum += p.size
	}
	return sum
}

// path is where a program can be started, if it is there; of no hash it is empty.
func (ps *programs) path(hash string) (path string, there bool) {
	if hash == "" {
		return "", true
	}
	i := slices.IndexFunc(ps.all, func(p program) bool { return p.hash == hash })
	if i < 0 {
		return "", false
	}
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), ps.all[i].file.Fd()), true
}

func (ps *programs) close() {
	for _, p := range ps.all {
		_ = p.file.Close()
	}
	*ps = programs{}
}
