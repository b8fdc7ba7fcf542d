package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit codes of every subcommand.
const (
	exitOK           = 0
	exitRegressed    = 1   // of gate
	exitFailed       = 2   // bad input, or the work could not be done
	exitInconclusive = 3   // of gate
	exitInterrupted  = 130 // ended by Ctrl-C or SIGTERM, as shells count it
)

// exitError is an error with an exit code of its own.
type exitError struct {
	code int
	text string
}

func (e exitError) Error() string { return e.text }

// Main runs the command line and returns its exit code. Tests register it as
// the eventobench program of their scripts.
func Main() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := newRootCmd().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "eventobench:", err)
		return exitCode(ctx, err)
	}
	return exitOK
}

func exitCode(ctx context.Context, err error) int {
	var e exitError
	switch {
	case ctx.Err() != nil:
		return exitInterrupted
	case errors.As(err, &e):
		return e.code
	}
	return exitFailed
}

func newRootCmd() *cobra.Command {
	root := &cobra.Command{
		Use:           "eventobench",
		Short:         "Did this change make my Go server faster?",
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(
		newRunCmd(), newCapacityCmd(), newCompareCmd(), newReportCmd(), newDiffCmd(), newGateCmd(), newHistoryCmd(), newListCmd(),
		newShowCmd(), newViewCmd(), newSelftestCmd(), newDoctorCmd(), newInitCmd(), newWorkloadCmd(), newServeCmd(), newAgentCmd(), newNullCmd(),
		newExportCmd(), newImportCmd(),
		newVersionCmd(), newManCmd(),
	)
	root.SetVersionTemplate(readBuild().String())
	addHelp(root)
	return root
}
