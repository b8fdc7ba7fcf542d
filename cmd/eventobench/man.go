package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func newManCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR",
		Short: "Write a man page of each command into a folder",
		Long: `Man writes a page of section 1 for each command into DIR, which it makes if need be.
Pages bear the date of SOURCE_DATE_EPOCH if that is set, else of today.

Exit codes: 0 written; 2 DIR cannot be written to.`,
		Example: `  eventobench man ~/.local/share/man/man1`,
		Args:    cobra.ExactArgs(1),
		Hidden:  true, // those who package the program use it
		RunE:    func(cmd *cobra.Command, args []string) error { return writeMan(cmd.Root(), args[0]) },
	}
}

func writeMan(root *cobra.Command, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("making the folder of the man pages: %w", err)
	}
	fenceLayouts(root)
	root.DisableAutoGenTag = true // it bears a date
	header := &doc.GenManHeader{Section: "1", Source: "eventobench " + version(), Manual: "eventobench"}
	if err := doc.GenManTree(root, header, dir); err != nil {
		return fmt.Errorf("writing the man pages: %w", err)
	}
	return nil
}

// fenceLayouts puts the indented lines of all descriptions between fences, as
// Markdown has them, from which man pages are made: their layout is meant.
func fenceLayouts(cmd *cobra.Command) {
	cmd.Long = fenceLayout(cmd.Long)
	for _, c := range cmd.Commands() {
		fenceLayouts(c)
	}
}

func fenceLayout(text string) string {
	const fence = "```"
	var lines []string
	fenced := false
	for line := range strings.SplitSeq(text, "\n") {
		if laidOut := strings.HasPrefix(line, " "); laidOut != fenced && line != "" {
			lines, fenced = append(lines, fence), laidOut
		}
		lines = append(lines, line)
	}
	if fenced {
		lines = append(lines, fence)
	}
	return strings.Join(lines, "\n")
}
