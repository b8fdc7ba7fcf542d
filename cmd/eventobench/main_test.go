package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain makes this test binary the eventobench program too: scripts call it
// by that name, and so does "eventobench run" when it starts its subjects.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"eventobench": func() { os.Exit(Main()) },
	})
}

// recordedFolders holds run folders that "make recorded" records: scripts and
// tests that only read use them.
const recordedFolders = "../../compare/testdata/recorded"

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			recorded, err := filepath.Abs(recordedFolders)
			e.Setenv("RECORDED", recorded)
			return err
		},
	})
}
