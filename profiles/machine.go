package profiles

import (
	"context"
	"time"

	"github.com/eventobench/eventobench/profiles/host"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// Machine is the one that subjects run on.
type Machine interface {
	// Describe tells what it is, and why sources of what it does cannot be read.
	Describe(ctx context.Context) (runfolder.Host, map[runfolder.Source]string, error)
	// Follow begins to follow what it does.
	Follow(ctx context.Context) (Window, error)
}

// Window follows a machine; see host.Window.
type Window interface {
	Look() error
	Close(subjects *time.Duration) (*runfolder.Machine, error)
}

// here is the machine of this process.
type here struct{}

func (here) Describe(context.Context) (runfolder.Host, map[runfolder.Source]string, error) {
	return host.Read(), host.Missing(host.Root), nil
}

func (here) Follow(context.Context) (Window, error) {
	return windowHere{host.OpenWindow(host.Root)}, nil
}

type windowHere struct{ window *host.Window }

func (w windowHere) Look() error {
	w.window.Look()
	return nil
}

func (w windowHere) Close(subjects *time.Duration) (*runfolder.Machine, error) {
	return w.window.Close(subjects), nil
}
