package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// release is the latest version in CHANGELOG.md.
const release = "v0.1.0"

// build is what this program was built from, as the Go command stamped it.
type build struct {
	module   string // version of the module, with changes since as Go has them
	commit   string
	time     string // of the commit, RFC 3339
	modified bool
}

func readBuild() build {
	var b build
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	b.module = info.Main.Version
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.commit = s.Value
		case "vcs.time":
			b.time = s.Value
		case "vcs.modified":
			b.modified = s.Value == "true"
		}
	}
	return b
}

// version is that of the module. Where no tag tells it, it is the latest release
// and the commit behind a +.
func (b build) version() string {
	const untagged, digits = "v0.0.0-", 12
	switch {
	case b.module != "" && b.module != "(devel)" && !strings.HasPrefix(b.module, untagged):
		return b.module
	case b.commit == "":
		return release + "+devel"
	case b.modified:
		return release + "+" + b.commit[:min(digits, len(b.commit))] + ".dirty"
	}
	return release + "+" + b.commit[:min(digits, len(b.commit))]
}

// String is a line for people.
func (b build) String() string {
	commit := cmp.Or(b.commit, "unknown")
	if b.time != "" {
		commit += " of " + b.time
	}
	if b.modified {
		commit += ", with changes"
	}
	return fmt.Sprintf("eventobench %s\ncommit %s\n%s %s/%s\n", b.version(), commit,
		runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// version names this program in what it records.
func version() string { return readBuild().version() }

func newVersionCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version, the commit and the Go version of this program",
		Long: `Version prints what this program was built from. The commit is unknown to a program
that "go install" made of a version; the version tells it.`,
		Example: `  eventobench version`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprint(cmd.OutOrStdout(), readBuild())
			return err
		},
	}
}
