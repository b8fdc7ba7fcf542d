package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/eventobench/eventobench/internal/texttab"
)

// anyNumber is no limit of arguments.
const anyNumber = -1

// needs is a rule for the number of a command's arguments, which are what.
func needs(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if n := len(args); n >= least && (n <= most || most == anyNumber) {
			return nil
		}
		return fmt.Errorf("%s needs %s, not %s; usage: %s",
			cmd.Name(), what, texttab.Count(len(args), "argument"), cmd.UseLine())
	}
}

// flagError adds to what is wrong with a flag where the right ones are listed.
func flagError(cmd *cobra.Command, err error) error {
	return fmt.Errorf("%w; \"%s --help\" lists the flags", err, cmd.CommandPath())
}
