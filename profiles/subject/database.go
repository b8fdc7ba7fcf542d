package subject

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Database is a database server that subjects keep their data in. It runs as
// long as an experiment; each process of a subject gets a database of its own.
type Database interface {
	// Start makes it ready to create databases. The caller must Stop it.
	Start(ctx context.Context) error
	// Create makes an empty database and returns the URL that stands for
	// FreshDatabase.
	Create(ctx context.Context) (url string, err error)
	// Drop removes a database that Create made. One that it cannot remove is left
	// to Stop.
	Drop(url string)
	// PID is the process that started all others of the server, or why it is not
	// known.
	PID() (int, error)
	// Stop removes all that Start and Create made.
	Stop() error
}

// Databases are those that targets need, each once.
func Databases(targets []Target) (all []Database) {
	for _, t := range targets {
		if d := DatabaseOf(t); d != nil && !slices.Contains(all, d) {
			all = append(all, d)
		}
	}
	return all
}

// DatabaseOf is the one that a target needs, nil if it needs none.
func DatabaseOf(t Target) Database {
	if e, ok := t.(Exec); ok {
		return e.Database
	}
	return nil
}

// DatabaseCPU is the user and system time that the processes of a database
// server have used since its start, those that have ended included.
func DatabaseCPU(d Database) (time.Duration, error) {
	pid, err := d.PID()
	if err != nil {
		return 0, err
	}
	used, err := treeCPU(pid)
	if err != nil {
		return 0, fmt.Errorf("reading the CPU time of the database server: %w", err)
	}
	return used, nil
}
