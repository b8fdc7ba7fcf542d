package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit codes of every subcommand.
const (
	exitOK          = 0
	exitFailed      = 2   // bad input, or the work could not be done
	exitInterrupted = 130 // ended by Ctrl-C or SIGTERM, as shells count it
)

// Main runs the command line and returns its exit code. Tests register it as
// the eventobench program of their scripts.
func Main() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := newRootCmd().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "eventobench:", err)
		if ctx.Err() != nil {
			return exitInterrupted
		}
		return exitFailed
	}
	return exitOK
}

func newRootCmd() *cobra.Command {
	root := &cobra.Command{
		Use:           "eventobench",
		Short:         "Did this change make my Go server faster?",
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(newServeCmd(), newRunCmd(), newCompareCmd(), newReportCmd(), newListCmd(), newSelftestCmd(), newExportCmd(), newImportCmd())
	return root
}
