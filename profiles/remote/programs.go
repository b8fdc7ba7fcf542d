package remote

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
)

// programs are those that a recorder has sent, the latest last. They are kept in memory,
// in files that have no name and that end with this process, however that ends.
type programs struct {
	all      []program
	received bytes.Buffer // of the next one
}

type program struct {
	hash string
	file *os.File
}

// receive puts a program together. What runs of one that is no longer kept goes on.
func (ps *programs) receive(p piece) error {
	if ps.received.Len()+len(p.Data) > maxProgram {
		ps.received = bytes.Buffer{}
		return fmt.Errorf("it takes programs of up to %d MiB", maxProgram>>20)
	}
	ps.received.Write(p.Data)
	if !p.Last {
		return nil
	}
	data := ps.received.Bytes()
	ps.received = bytes.Buffer{}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != p.Hash {
		return errors.New("a program arrived incomplete")
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
