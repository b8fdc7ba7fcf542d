package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/eventobench/eventobench/internal/testaid"
	"github.com/eventobench/eventobench/internal/testlong"
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
		Condition: func(name string) (bool, error) {
			switch name {
			case "long":
				return testlong.On(), nil
			case "race":
				return testlong.Raced(), nil
			}
			return false, fmt.Errorf("unknown condition %q", name)
		},
		Setup: func(e *testscript.Env) error {
			for name, path := range map[string]string{"RECORDED": recordedFolders, "EXAMPLES": "../../docs/examples"} {
				abs, err := filepath.Abs(path)
				if err != nil {
					return err
				}
				e.Setenv(name, abs)
			}
			e.Setenv("NATS_ADDRESS", testaid.FreeAddress(t)) // agents are told it before there is a server
			cache, err := exec.Command("go", "env", "GOCACHE").Output()
			e.Setenv("GOCACHE", strings.TrimSpace(string(cache))) // for subjects that are built
			return err
		},
	})
}
