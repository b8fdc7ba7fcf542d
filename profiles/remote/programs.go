package remote

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
)

// programs are those that a recorder has sent, by hash. They are kept in memory, in
// files that have no name and that end with this process, however that ends.
type programs map[string]*program

type program struct {
	received bytes.Buffer
	file     *os.File // nil while it is incomplete
}

// receive puts a program together.
func (all programs) receive(p piece) error {
	known := all[p.Hash]
	switch {
	case known != nil && known.file != nil:
		return nil
	case known == nil && len(all) >= maxPrograms:
		return fmt.Errorf("it keeps no more than %d programs", maxPrograms)
	case known == nil:
		known = &program{}
		all[p.Hash] = known
	}
	if known.received.Len()+len(p.Data) > maxProgram {
		delete(all, p.Hash)
		return fmt.Errorf("it takes programs of up to %d MiB", maxProgram>>20)
	}
	known.received.Write(p.Data)
	if !p.Last {
		return nil
	}
	if sum := sha256.Sum256(known.received.Bytes()); hex.EncodeToString(sum[:]) != p.Hash {
		delete(all, p.Hash)
		return errors.New("a program arrived incomplete")
	}
	file, err := inMemory(known.received.Bytes())
	if err != nil {
		delete(all, p.Hash)
		return err
	}
	known.file, known.received = file, bytes.Buffer{}
	return nil
}

// path is where a program can be started, of no hash an empty one.
func (all programs) path(hash string) (string, error) {
	if hash == "" {
		return "", nil
	}
	known := all[hash]
	if known == nil || known.file == nil {
		return "", errors.New("the program was not sent before")
	}
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), known.file.Fd()), nil
}

func (all programs) close() {
	for hash, p := range all {
		if p.file != nil {
			_ = p.file.Close()
		}
		delete(all, hash)
	}
}
