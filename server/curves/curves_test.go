package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestMain plays the other processes, which run this binary.
func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		if err := play(role); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// TestCurves prints both tables, of a small store and a few subscribers.
func TestCurves(t *testing.T) {
	o := options{sizes: []int{100, 500}, subscribers: []int{1, 20}, events: 5, dir: t.TempDir()}
	var out bytes.Buffer
	if err := o.run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	for _, begin := range []string{"| messages |", "| 100 |", "| 500 |", "| subscribers |", "| 1 |", "| 20 |"} {
		if n := strings.Count("\n"+out.String(), "\n"+begin); n != 1 {
			t.Errorf("%d rows begin with %q in\n%s", n, begin, &out)
		}
	}
	left, err := os.ReadDir(o.dir)
	if err != nil || len(left) > 0 {
		t.Errorf("%v (%v) is left of the stores that were killed", left, err)
	}
	t.Log("\n" + out.String())
}
