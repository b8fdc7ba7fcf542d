package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"html/template"
	"io"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/google/pprof/driver"
	"github.com/google/pprof/profile"
	"github.com/spf13/cobra"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/compare/profdiff"
	"github.com/eventobench/eventobench/internal/texttab"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

type viewOptions struct {
	addr     string
	anywhere bool
	open     bool
}

func newViewCmd() *cobra.Command {
	var o viewOptions
	cmd := &cobra.Command{
		Use:   "view DIR [BASE]",
		Short: "Browse a run's profiles in pprof's own web pages",
		Long: `View serves pprof's web pages (flame graph, top, source, graph) for the profiles of
a run folder: CPU, allocations, heap and goroutines, with links between them. With
BASE the pages show the difference: what DIR has more (or less) than BASE.

CPU and allocations are per operation, heap and goroutines per process, so that
runs of different lengths can be subtracted; "go tool pprof -diff_base" subtracts
totals. Work of the profiling itself is left out.

The first line on stdout, "listening on URL", is printed once the pages can be
read. SIGTERM and Ctrl-C end it; the exit code is then 0. It is 2 if a folder is
missing, damaged or empty, or if the two were recorded under different loads.`,
		Example: `  eventobench view profiles/20261124_120000-fasthttp

  # what fasthttp does more and less than net/http
  eventobench view --open profiles/20261124_120000-fasthttp profiles/20261124_120000-nethttp`,
		Args: needs(1, 2, "one run folder or two"),
		RunE: func(cmd *cobra.Command, dirs []string) error { return o.view(cmd, dirs) },
	}
	f := cmd.Flags()
	f.StringVar(&o.addr, "addr", "127.0.0.1:0", "address to listen on; port 0 takes a free one")
	f.BoolVar(&o.anywhere, "anywhere", false,
		"allow an --addr that others can reach: the pages show source code and need no password")
	f.BoolVar(&o.open, "open", false, "open the pages in a browser")
	return cmd
}

func (o *viewOptions) view(cmd *cobra.Command, dirs []string) (err error) {
	v, err := openViewed(dirs)
	if err != nil {
		return err
	}
	handler, err := v.handler(cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	listener, err := listenOn(o.addr)
	if err != nil {
		return err
	}
	if !o.anywhere && !onLoopback(listener) {
		return errors.Join(fmt.Errorf("the pages show source code and need no password: "+
			"they are served on loopback only, not on %s (--anywhere allows it)", o.addr), listener.Close())
	}
	address := "http://" + listener.Addr().String()
	fmt.Fprintln(cmd.OutOrStdout(), "listening on "+address)
	if o.open {
		if err := openBrowser(cmd.Context(), address); err != nil {
			fmt.Fprintf(cmd.ErrOrStderr(), "opening a browser: %v; open %s yourself\n", err, address)
		}
	}
	return serveUntil(cmd.Context(), listener, handler)
}

// serveUntil serves until the context is done.
func serveUntil(ctx context.Context, listener net.Listener, handler http.Handler) error {
	const patience = 10 * time.Second // with a client that sends no request
	server := &http.Server{Handler: handler, ReadHeaderTimeout: patience}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		err := server.Close()
		<-failed
		return err
	}
}

// openBrowser starts the system's browser, which outlives the context.
func openBrowser(ctx context.Context, address string) error {
	command := []string{"xdg-open"}
	switch runtime.GOOS {
	case "darwin":
		command = []string{"open"}
	case "windows":
		command = []string{"rundll32", "url.dll,FileProtocolHandler"}
	}
	browser := exec.CommandContext(context.WithoutCancel(ctx), command[0], append(command[1:], address)...)
	if err := browser.Start(); err != nil {
		return err
	}
	return browser.Process.Release()
}

// viewed is what the pages show: a run, and the one it is compared with, if any.
type viewed struct {
	Head, Base *runfolder.Run
}

func openViewed(dirs []string) (viewed, error) {
	var runs [2]*runfolder.Run
	for i, dir := range dirs {
		run, err := runfolder.Open(dir)
		if err != nil {
			return viewed{}, err
		}
		if len(run.Manifest.Blocks) == 0 {
			return viewed{}, fmt.Errorf("run folder %s (%s) has no complete block, and so no profiles; "+
				"\"eventobench show\" says why", dir, run.Manifest.State)
		}
		runs[i] = run
	}
	v := viewed{Head: runs[0], Base: runs[1]}
	if v.Base != nil {
		if err := compare.SameLoad(v.Base, v.Head); err != nil {
			return viewed{}, err
		}
	}
	if len(v.Views()) == 0 {
		return viewed{}, fmt.Errorf("%s have no kind of profile in common that could be shown; "+
			"\"eventobench show\" says what is unavailable, and why",
			strings.Join(dirs, " and "))
	}
	return v, nil
}

// Title names the run, and the one it is compared with.
func (v viewed) Title() string {
	if v.Base == nil {
		return v.Head.Manifest.Subject.Name
	}
	head, base := v.Head.Manifest, v.Base.Manifest
	if head.Subject.Name == base.Subject.Name {
		return fmt.Sprintf("%s %s less %s", head.Subject.Name, head.Experiment, base.Experiment)
	}
	return head.Subject.Name + " less " + base.Subject.Name
}

// Views are the kinds of profiles there are pages for: those that all runs have.
func (v viewed) Views() []runfolder.ProfileKind {
	return slices.DeleteFunc(slices.Clone(runfolder.Kinds), func(k runfolder.ProfileKind) bool {
		return !v.Head.Recorded(k) || v.Base != nil && !v.Base.Recorded(k)
	})
}

// per is what the values of a kind of profile are divided by.
func per(kind runfolder.ProfileKind) string {
	if kind.PerOperation() {
		return "operation"
	}
	return "process"
}

// handler serves an index and, below the name of each view, pprof's pages.
func (v viewed) handler(messages io.Writer) (http.Handler, error) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { writeHTML(w, "index", v) })
	for _, view := range v.Views() {
		pages, err := v.pprofPages(view, messages)
		if err != nil {
			return nil, err
		}
		prefix := "/" + view.Name
		for name, page := range pages {
			mux.Handle(prefix+strings.TrimSuffix(name, "/")+ending(name), v.withLinks(view, page))
		}
		mux.HandleFunc(prefix+"/download", v.download(view)) // pprof's own would give the scaled profile
	}
	return mux, nil
}

// ending makes the pattern of pprof's front page match that page only.
func ending(name string) string {
	if name == "/" {
		return "/{$}"
	}
	return ""
}

// pprofPages prepares pprof's pages for one view. The profiles are handed to
// pprof in memory, so that it does not keep copies of its own on disk.
func (v viewed) pprofPages(view runfolder.ProfileKind, messages io.Writer) (map[string]http.Handler, error) {
	sources := fetched{}
	args := []string{"-http=127.0.0.1:0", "-no_browser", "-symbolize=none",
		fmt.Sprintf("-divide_by=%v", profdiff.PprofScale)}
	var err error
	if sources["head"], err = profdiff.Scaled(v.Head, view); err != nil {
		return nil, err
	}
	if v.Base != nil {
		if sources["base"], err = profdiff.Scaled(v.Base, view); err != nil {
			return nil, err
		}
		args = append(args, "-diff_base=base")
	}
	var pages map[string]http.Handler
	err = driver.PProf(&driver.Options{
		Flagset: &pprofFlags{FlagSet: flag.NewFlagSet("pprof", flag.ContinueOnError), args: append(args, "head")},
		Fetch:   sources,
		UI:      pprofUI{messages},
		HTTPServer: func(a *driver.HTTPServerArgs) error {
			pages = a.Handlers
			delete(pages, "/download")
			return nil
		},
	})
	if err != nil {
		return nil, fmt.Errorf("preparing pprof's pages for %s: %w", view.File, err)
	}
	return pages, nil
}

// download serves the profile as it is in the run folder.
func (v viewed) download(view runfolder.ProfileKind) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Disposition", "attachment; filename="+view.File)
		http.ServeFile(w, r, filepath.Join(v.Head.Dir, view.File))
	}
}

// withLinks puts a line above pprof's pages: what is shown, and links to the
// same page of the other views.
func (v viewed) withLinks(view runfolder.ProfileKind, page http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		buffered := &bufferedPage{ResponseWriter: w}
		page.ServeHTTP(buffered, r)
		body := buffered.body.Bytes()
		if strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
			var line bytes.Buffer
			if err := viewPages.ExecuteTemplate(&line, "links", linkLine{v, view, samePage(r.URL)}); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			body = bytes.Replace(body, []byte("<body>"), append([]byte("<body>"), line.Bytes()...), 1)
		}
		if buffered.status != 0 {
			w.WriteHeader(buffered.status)
		}
		_, _ = w.Write(body) // a reader who went away needs no answer
	})
}

type linkLine struct {
	viewed
	View runfolder.ProfileKind
	Page string
}

// samePage is the page at u, with the function it looks for, relative to its
// view.
func samePage(u *url.URL) string {
	page := path.Base(u.Path)
	if f := u.Query().Get("f"); f != "" {
		page += "?" + url.Values{"f": {f}}.Encode()
	}
	return page
}

// bufferedPage keeps a page back, so that it can be added to.
type bufferedPage struct {
	http.ResponseWriter
	body   bytes.Buffer
	status int
}

func (p *bufferedPage) Write(b []byte) (int, error) { return p.body.Write(b) }
func (p *bufferedPage) WriteHeader(status int)      { p.status = status }

//go:embed view.html
var viewHTML string

var (
	viewFuncs = template.FuncMap{"optional": texttab.Optional, "per": per}
	viewPages = template.Must(template.New("view").Funcs(viewFuncs).Parse(viewHTML))
)

func writeHTML(w http.ResponseWriter, name string, data any) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if err := viewPages.ExecuteTemplate(w, name, data); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// fetched gives pprof profiles by name. The empty source says that they come
// from no network: pprof saves what does.
type fetched map[string]*profile.Profile

func (f fetched) Fetch(name string, _, _ time.Duration) (*profile.Profile, string, error) {
	return f[name], "", nil
}

// pprofFlags gives pprof its command line.
type pprofFlags struct {
	*flag.FlagSet
	args []string
}

func (f *pprofFlags) StringList(name, value, usage string) *[]*string {
	return &[]*string{f.String(name, value, usage)}
}

func (f *pprofFlags) ExtraUsage() string   { return "" }
func (f *pprofFlags) AddExtraUsage(string) {}

func (f *pprofFlags) Parse(usage func()) []string {
	if err := f.FlagSet.Parse(f.args); err != nil {
		usage()
		return nil
	}
	return f.Args()
}

// pprofUI passes pprof's complaints on, and nothing else.
type pprofUI struct{ messages io.Writer }

func (u pprofUI) PrintErr(args ...any)              { fmt.Fprintln(u.messages, "pprof: "+fmt.Sprint(args...)) }
func (pprofUI) ReadLine(string) (string, error)     { return "", io.EOF }
func (pprofUI) Print(...any)                        {}
func (pprofUI) IsTerminal() bool                    { return false }
func (pprofUI) WantBrowser() bool                   { return false }
func (pprofUI) SetAutoComplete(func(string) string) {}
