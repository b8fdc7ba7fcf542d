package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/eventobench/eventobench/profiles/runfolder"
	"github.com/eventobench/eventobench/profiles/subject"
)

const nullControlUsage = "let the base take part twice, and be inconclusive if it moves against itself; " +
	"of run folders: their experiment must have done so"

// nullControl is the base once more, in processes of its own.
func nullControl(base subject.Target) (subject.Target, error) {
	e, started := base.(subject.Exec)
	if !started {
		return nil, errors.New("--null-control: a running server cannot be its own control, which takes " +
			"processes of its own; use exec:, go: or git: instead")
	}
	e.Name += "-control"
	e.NullControl = true
	return e, nil
}

// withNullControl adds the folder of their null control to those of a base and a head of
// one experiment, if it had one and the folder is beside the base's.
func withNullControl(dirs []string, required bool) ([]string, error) {
	if runfolder.IsForeign(dirs[0]) && !required {
		return dirs, nil // what comes next says why these cannot be gated
	}
	base, err := runfolder.OpenManifest(dirs[0])
	if err != nil {
		return nil, err
	}
	for _, name := range base.Folders {
		dir := filepath.Join(filepath.Dir(filepath.Clean(dirs[0])), name)
		m, err := runfolder.OpenManifest(dir)
		if err == nil && m.Subject.NullControl && m.Experiment == base.Experiment {
			return append(dirs, dir), nil
		}
	}
	if required {
		return nil, fmt.Errorf("--null-control: beside %s there is no run folder of the base once more, "+
			"as \"eventobench gate --null-control --base=... --head=...\" records it", dirs[0])
	}
	return dirs, nil
}
