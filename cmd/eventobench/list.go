package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/eventobench/eventobench/internal/texttab"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

func newListCmd() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the recorded run folders",
		Long: `List shows the run folders below --out, oldest first, with their headline figures.
Those that are being recorded, or whose recorder was killed, are shown too.

Exit codes: 0 listed, be it none; 2 the folder cannot be read.`,
		Example: `  eventobench list
  eventobench list --out=/var/tmp/profiles`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			entries, err := runfolder.List(out)
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), listTable(entries))
			return err
		},
	}
	cmd.Flags().StringVar(&out, "out", "profiles", "folder that holds the run folders")
	return cmd
}

func listTable(entries []runfolder.Entry) string {
	table := texttab.New("folder", "date", "subject", "state", "blocks", "ops/s", "p99 ms", "B/op", "allocs/op", "label")
	unreadable := ""
	for _, e := range entries {
		if e.Err != nil {
			unreadable += fmt.Sprintf("unreadable: %v\n", e.Err)
			continue
		}
		m, t := e.Manifest, e.Totals
		table.Add(e.Dir, m.Start.Local().Format("2006-01-02 15:04:05"), m.Subject.Name, string(m.State),
			fmt.Sprintf("%d of %d", len(m.Blocks), m.Plan.Blocks), texttab.Number(t.OpsPerSec, 0), texttab.Number(t.P99Ms, 3),
			texttab.Optional(t.AllocBytesPerOp, 0), texttab.Optional(t.AllocsPerOp, 2), m.Label)
	}
	return table.String() + unreadable
}
