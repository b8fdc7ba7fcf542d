//go:build !linux

package perf

import "errors"

var errElsewhere = errors.New("hardware counters are read on Linux only")

// Counter counts nothing here.
type Counter struct{}

// Open is an error here.
func Open(int) (*Counter, error) { return nil, errElsewhere }

// Probe is an error here.
func Probe(string) error { return errElsewhere }

// Read is an error here.
func (*Counter) Read() (int64, error) { return 0, errElsewhere }

// Close does nothing here.
func (*Counter) Close() {}
