// Package subject starts the servers that are measured, and asks them and the
// system about them.
package subject

import (
	"context"
	"io"
	"net/url"
	"time"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

// Target is something that can be measured: Exec, which is started, or Running,
// which is there already.
type Target interface {
	// Info says what it is, or why it cannot be started. Its name is distinct
	// within an experiment and ends the run folder's name.
	Info() (runfolder.SubjectInfo, error)
	// Start makes a fresh instance and waits until it answers. What it prints
	// goes to log. The caller must stop it.
	Start(ctx context.Context, log io.Writer) (Instance, error)
}

// Instance is one start of a target. Its methods may be used at the same time,
// and none but Exited, Death and Stop once it is stopped.
type Instance interface {
	// URL is where requests go.
	URL() *url.URL
	// Debug is where its debug pages are, if it has any.
	Debug() DebugPages
	// Process is the process that answers requests, 0 if it was not found.
	Process() int
	// Binary identifies the program that answers requests.
	Binary() (runfolder.Binary, error)

	// Missing says which of the following figures cannot be had, and why.
	Missing() map[runfolder.Source]string
	// CPU is the user and system time used since the start.
	CPU() (time.Duration, error)
	// RSSPeak is the peak resident set size in bytes.
	RSSPeak() (int64, error)
	// Counters are what the system counts; those that are missing are zero.
	Counters() (runfolder.ProcessCounters, error)

	// Exited is closed when the instance has ended, for whatever reason.
	Exited() <-chan struct{}
	// Death waits for the end and explains it, as an error that says when.
	Death(when string) error
	// Stop ends the instance. It returns once nothing of it is left.
	Stop()
}
