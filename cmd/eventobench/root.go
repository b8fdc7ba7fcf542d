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
		Use:   "eventobench",
		Short: "Did this change make my Go server faster?",
		Long: `Did this change make my Go server faster? eventobench measures two builds side by side
and answers with a verdict, confidence intervals, and the functions that explain them.`,
		Example: `  # in your Go module: is the working tree slower than the last commit?
  eventobench init
  eventobench gate

  # two servers that come with eventobench, and what is different between them
  eventobench run --transport=nethttp --transport=fasthttp
  eventobench compare profiles/20261124_120000-nethttp profiles/20261124_120000-fasthttp`,
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	addGroup(root, "Measure:",
		newInitCmd(), newRunCmd(), newGateCmd(), newCapacityCmd(), newWorkloadCmd(), newAgentCmd())
	addGroup(root, "Read what was measured:",
		newCompareCmd(), newReportCmd(), newDiffCmd(), newHistoryCmd(), newListCmd(), newShowCmd(), newViewCmd())
	addGroup(root, "Check the machine:", newDoctorCmd(), newSelftestCmd())
	addGroup(root, "The built-in event store:", newServeCmd(), newExportCmd(), newImportCmd())
	root.AddCommand(newNullCmd(), newVersionCmd(), newManCmd())
	root.SetVersionTemplate(readBuild().String())
	root.SetFlagErrorFunc(flagError)
	addHelp(root)
	return root
}

// addGroup adds commands that --help lists under a title.
func addGroup(root *cobra.Command, title string, commands ...*cobra.Command) {
	root.AddGroup(&cobra.Group{ID: title, Title: title})
	for _, cmd := range commands {
		cmd.GroupID = title
		root.AddCommand(cmd)
	}
}
