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
}

// receive puts a program together. What runs of one that is no longer kept goes on.
func (ps *programs) receive(p agent.Piece) error {
	data, complete, err := ps.received.Add(p, maxProgram)
	switch {
	case errors.Is(err, agent.ErrTooLarge):
		return fmt.Errorf("it takes programs of up to %d MiB", maxProgram>>20)
	case err != nil:
		return fmt.Errorf("a program arrived %w", err)
	case !complete:
		return nil
	}
	file, err := inMemory(data)
	if err != nil {
		return err
	}
	ps.all = append(ps.all, program{p.Hash, file})
	if len(ps.all) > maxPrograms {
		_ = ps.all[0].file.Close() // nothing was written that could fail
		ps.all = slices.Delete(ps.all, 0, 1)
	}
	return nil
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
