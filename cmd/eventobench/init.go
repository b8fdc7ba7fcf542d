package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"text/template"

	"github.com/spf13/cobra"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

type initOptions struct {
	out   string
	force bool
}

func newInitCmd() *cobra.Command {
	var o initOptions
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Write an eventobench.yaml for the Go module in this folder",
		Long: `Init looks at the Go module in this folder, without building it: its main packages,
flags and variables that say where a server listens, whether it serves profiles, and
routes that a GET can ask for. It writes what it found to eventobench.yaml, with
comments on what to check, so that "eventobench run" compares the working tree with
the last commit, and "eventobench gate" fails if it became slower, without flags.

Exit codes: 0 written; 2 this is no Go module, or the file is there already.`,
		Example: `  eventobench init
  eventobench init --out=bench.yaml && eventobench gate --config=bench.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	cmd.Flags().StringVar(&o.out, "out", defaultConfig, "file to write")
	cmd.Flags().BoolVar(&o.force, "force", false, "replace the file if there is one")
	return cmd
}

func (o *initOptions) run(cmd *cobra.Command) error {
	_, err := os.Stat(o.out)
	if err == nil && !o.force {
		return fmt.Errorf("%s is there already; --force replaces it, --out=FILE writes another", o.out)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	m, err := scanModule(cmd.Context())
	if err != nil {
		return err
	}
	if len(m.programs) == 0 {
		return errors.New("the Go module in this folder has no main package, so there is no server to measure")
	}
	text, err := m.config()
	if err != nil {
		return err
	}
	if err := runfolder.WriteFile(o.out, writeText(text)); err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s is written. Look through it, then: eventobench run\n", o.out)
	return nil
}

// config is the configuration in YAML, with comments.
func (m goModule) config() (string, error) {
	const mostRoutes = 5
	server, others := m.server()
	data := map[string]any{
		"Package": server.pkg, "Others": others, "Start": server.start(), "Listens": server.listens(),
		"Pprof": m.pprof, "Expvar": m.expvar,
		"Patterns": strings.Join(m.patterns[:min(mostRoutes, len(m.patterns))], ", "),
		"Routes":   m.routes[:min(mostRoutes, len(m.routes))], "MoreRoutes": max(len(m.routes)-mostRoutes, 0),
	}
	var b strings.Builder
	err := configTemplate.Execute(&b, data)
	return b.String(), err
}

// server is the program that most likely serves, and the packages of the others.
func (m goModule) server() (program, []string) {
	best := 0
	for i, p := range m.programs {
		if p.listens() && !m.programs[best].listens() {
			best = i
		}
	}
	var others []string
	for i, p := range m.programs {
		if i != best {
			others = append(others, p.pkg)
		}
	}
	return m.programs[best], others
}

// listens reports whether the source shows where the program listens.
func (p program) listens() bool { return len(p.flags)+len(p.env) > 0 }

// start is the command that makes the program listen where it shall.
func (p program) start() string {
	switch {
	case len(p.flags) > 0:
		return fmt.Sprintf("{out} -%s=%s", p.flags[0], placeholder(p.flags[0]))
	case len(p.env) > 0:
		return fmt.Sprintf("env %s=%s {out}", p.env[0], placeholder(p.env[0]))
	}
	return "{out}"
}

// placeholder is what a flag or variable of a name takes: a port or an address.
func placeholder(name string) string {
	if strings.HasSuffix(strings.ToLower(name), "port") {
		return "{port}"
	}
	return "{addr}"
}

var configTemplate = template.Must(template.New(defaultConfig).Parse(`# What "eventobench run" and "eventobench gate" do in this module. Flags win over it.

subjects: # NAME: what it is; see docs/subjects.md
  base: git:HEAD{{if .Others}}:{{.Package}}{{end}} # the last commit; git:main would be that of a branch
  head: "go:{{if .Others}}{{.Package}}{{end}}" # the working tree
{{- if .Others}}
  # Other main packages: {{range $i, $p := .Others}}{{if $i}}, {{end}}{{$p}}{{end}}
{{- end}}

workload: # flags of "eventobench run", without their dashes
{{- if .Listens}}
  start: "{{.Start}}"
{{- else}}
  # Nothing in the source shows how the program is told where to listen. With {port}
  # or {addr} here it need not say where it does.
  start: "{{.Start}}"
{{- end}}
{{- if .Pprof}}
  # pprof: http://127.0.0.1:{port2} # if its profiles are served elsewhere than its answers
{{- else}}
  # The module does not import net/http/pprof: there will be neither profiles nor an
  # explanation of a difference.{{if not .Expvar}} Allocations need that import, or expvar's.{{end}}
{{- end}}
  get: {{if .Routes}}[{{range $i, $r := .Routes}}{{if $i}}, {{end}}{{$r}}{{end}}]{{else}}[/]{{end}}
{{- if .MoreRoutes}} # and {{.MoreRoutes}} more{{end}}
{{- if .Patterns}}
  # Not among them, since they take values: {{.Patterns}}
{{- end}}
  # targets: load/targets.txt # requests with bodies and headers; see docs/workloads.md
  workers: 10

plan:
  max-time: 2m

gate:
  base: base
  head: head
  # metrics: {p99: 10%}
`))

func writeText(text string) func(w io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	}
}
