package subject

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

// Program stands in the commands that build and start a subject for the program
// that is built.
const Program = "{out}"

// Build is a subject that is made from the source of the Go module, or the part
// of a repository, in a folder.
type Build struct {
	Dir       string    // in the working tree; the working directory if empty
	Ref       string    // commit, branch or tag; the working tree as it is if empty
	Package   string    // main package; empty if the module has but one
	Toolchain string    // version of Go, such as 1.26.7; the usual one if empty
	Command   string    // with Program; empty for go build
	Cache     string    // folder that keeps programs and has the worktrees of commits; see CacheDir
	Log       io.Writer // is told what is being built; may be nil
}

// Built is a program that was made, or was kept from an earlier time.
type Built struct {
	Program string // its path, below the cache folder
	Module  string // of the package, empty if it is not Go's
	Info    runfolder.BuildInfo
}

// CacheDir is the folder for Build.Cache: the user's.
func CacheDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding a folder to build in: %w", err)
	}
	return filepath.Join(dir, "eventobench"), nil
}

// Make builds the program. The one of a commit that was built before in the same
// way is taken from the cache. No worktree is left behind, also not if ctx is
// cancelled; those of recorders that were killed are removed first. The error of
// a build that fails has what the compiler said.
func (b Build) Make(ctx context.Context) (Built, error) {
	built, err := b.make(ctx)
	if ctx.Err() != nil {
		return Built{}, fmt.Errorf("interrupted while building %s", b.what())
	}
	if err != nil {
		return Built{}, fmt.Errorf("building %s: %w", b.what(), err)
	}
	return built, nil
}

func (b Build) what() string {
	switch {
	case b.Ref != "":
		return strings.TrimSpace(b.Ref + " " + b.Package)
	case b.Package != "":
		return b.Package
	}
	return "the working tree"
}

func (b Build) make(ctx context.Context) (Built, error) {
	for _, dir := range []string{b.builds(), b.worktrees()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return Built{}, err
		}
	}
	b.forgetOld()
	b.removeStale()
	environment, err := b.goEnv(ctx)
	if err != nil {
		return Built{}, err
	}
	if b.Ref == "" {
		return b.fromWorkingTree(ctx, environment)
	}
	return b.fromCommit(ctx, environment)
}

func (b Build) builds() string    { return filepath.Join(b.Cache, "builds") }
func (b Build) worktrees() string { return filepath.Join(b.Cache, "worktrees") }

// fromWorkingTree builds what is there, and keeps it by its own hash.
func (b Build) fromWorkingTree(ctx context.Context, environment []string) (built Built, err error) {
	info := runfolder.BuildInfo{Flags: relevant(environment)}
	commit, err := b.git(ctx, "rev-parse", "--verify", "--quiet", "HEAD")
	if err == nil {
		info.Commit = commit
		info.Dirty, err = b.dirty(ctx)
		if err != nil {
			return built, err
		}
	}
	return b.compile(ctx, b.Dir, "", info)
}

// dirty reports whether the working tree is other than its commit: a file that Git
// knows was changed, or Go would build or embed one that Git does not know. Other
// unknown files, such as run folders, are no part of a program.
func (b Build) dirty(ctx context.Context) (bool, error) {
	changes, err := b.git(ctx, "status", "--porcelain", "-z", "--untracked-files=all")
	if err != nil || changes == "" {
		return false, err
	}
	top, err := b.git(ctx, "rev-parse", "--show-toplevel")
	if err != nil {
		return false, err
	}
	var embedded []string
	list := []string{"go", "list", "-e", "-f", `{{range .EmbedFiles}}{{$.Dir}}/{{.}}{{"\n"}}{{end}}`, "./..."}
	text, err := b.run(ctx, b.Dir, list)
	if err == nil { // else it is not Go's
		embedded = strings.Split(text, "\n")
	}
	for change := range strings.SplitSeq(strings.TrimRight(changes, "\x00"), "\x00") {
		name, unknown := strings.CutPrefix(change, "?? ")
		if !unknown || goReads(name) || slices.Contains(embedded, filepath.Join(top, name)) {
			return true, nil
		}
	}
	return false, nil
}

// sourceFiles are what go build reads by itself, beside what is embedded.
var sourceFiles = regexp.MustCompile(`\.(go|s|S|sx|c|cc|cpp|cxx|m|h|hh|hpp|hxx|f|F|for|f90|swig|swigcxx|syso)$` +
	`|(^|/)(go\.mod|go\.sum|go\.work|go\.work\.sum|vendor/modules\.txt)$`)

func goReads(name string) bool {
	return sourceFiles.MatchString(name) && !strings.HasSuffix(name, "_test.go")
}

// fromCommit builds a commit in a worktree of its own, as far as that was not done
// before.
func (b Build) fromCommit(ctx context.Context, environment []string) (built Built, err error) {
	commit, err := b.git(ctx, "rev-parse", "--verify", "--quiet", b.Ref+"^{commit}")
	if err != nil {
		return built, b.noCommit(ctx)
	}
	prefix, err := b.git(ctx, "rev-parse", "--show-prefix")
	if err != nil {
		return built, err
	}
	parts := append([]string{commit, prefix, b.Package, b.Command, b.Toolchain}, environment...)
	key := hash([]byte(strings.Join(parts, "\x00")))
	info := runfolder.BuildInfo{Ref: b.Ref, Commit: commit, Flags: relevant(environment)}
	if built, err := b.kept(key); err == nil {
		return built, nil
	}
	tree, err := b.addWorktree(ctx, commit)
	if err != nil {
		return built, err
	}
	defer func() { err = errors.Join(err, tree.remove()) }()
	return b.compile(ctx, filepath.Join(tree.dir, prefix), key, info)
}

// noCommit explains why the commit was not found.
func (b Build) noCommit(ctx context.Context) error {
	_, err := b.git(ctx, "rev-parse", "--git-dir")
	switch {
	case err == nil:
		return fmt.Errorf("%q is no commit of the repository in %s", b.Ref, b.where())
	case strings.Contains(err.Error(), "not a git repository"):
		return errors.New("this is not a Git repository")
	}
	return err
}

func (b Build) where() string {
	if b.Dir != "" {
		return b.Dir
	}
	return "the working directory"
}

// environment of a build that makes a difference, beside the source.
var buildVariables = []string{
	"GOFLAGS", "GOEXPERIMENT", "CGO_ENABLED", "GOAMD64", "GOARM64", // first those for the manifest
	"GOVERSION", "GOTOOLCHAIN", "GOOS", "GOARCH", "CC", "CGO_CFLAGS", "CGO_LDFLAGS",
}

const manifestVariables = 5

// goEnv are NAME=VALUE of the variables that make a difference.
func (b Build) goEnv(ctx context.Context) ([]string, error) {
	text, err := b.run(ctx, b.Cache, append([]string{"go", "env"}, buildVariables...))
	if err != nil {
		return nil, err
	}
	values := strings.Split(strings.TrimRight(text, "\n")+strings.Repeat("\n", len(buildVariables)), "\n")
	var all []string
	for i, name := range buildVariables {
		all = append(all, name+"="+values[i])
	}
	return all, nil
}

func relevant(environment []string) (set []string) {
	for _, variable := range environment[:manifestVariables] {
		if !strings.HasSuffix(variable, "=") {
			set = append(set, variable)
		}
	}
	return set
}

// compile builds the source in a folder and keeps the program under a key, or
// its own hash if that is empty.
func (b Build) compile(ctx context.Context, dir, key string, info runfolder.BuildInfo) (built Built, err error) {
	temp, err := os.MkdirTemp(b.builds(), newPrefix)
	if err != nil {
		return built, err
	}
	defer func() { _ = os.RemoveAll(temp) }()
	built.Module, info.Dir = b.module(ctx, dir)
	info.Command, err = b.command(ctx, dir)
	if err != nil {
		return built, err
	}
	out := filepath.Join(temp, programFile)
	b.tell(info)
	if _, err := b.run(ctx, dir, replaceProgram(info.Command, out)); err != nil {
		return built, err
	}
	binary, err := readBinary(out)
	if err != nil {
		return built, fmt.Errorf("the command made no program in place of %s: %w", Program, err)
	}
	info.GoVersion = binary.GoVersion
	built.Info = info
	if key == "" {
		key = treePrefix + binary.SHA256
	}
	return b.keep(built, temp, key)
}

// module is the Go module of a folder, and its place in the repository. Not every
// source is Go's, or in a repository: what there is not is empty.
func (b Build) module(ctx context.Context, dir string) (name, place string) {
	text, _ := b.run(ctx, dir, []string{"go", "list", "-m", "-f", "{{.Path}} {{.Dir}}"})
	first, _, _ := strings.Cut(text, "\n")
	name, folder, _ := strings.Cut(first, " ")
	if folder != "" {
		place, _ = b.run(ctx, folder, []string{"git", "rev-parse", "--show-prefix"})
	}
	return name, strings.TrimSuffix(strings.TrimRight(place, "\n"), "/")
}

func (b Build) tell(info runfolder.BuildInfo) {
	if b.Log == nil {
		return
	}
	commit := info.Commit[:min(len(info.Commit), 12)]
	if info.Dirty {
		commit += " with changes"
	}
	fmt.Fprintf(b.Log, "building %s (%s): %s\n", b.what(), commit, strings.Join(info.Command, " "))
}

// command is the one that builds.
func (b Build) command(ctx context.Context, dir string) ([]string, error) {
	if b.Command != "" {
		words, err := SplitCommand(b.Command)
		if err == nil && !strings.Contains(b.Command, Program) {
			err = fmt.Errorf("the command %q does not say where the program goes; it needs %s", b.Command, Program)
		}
		return words, err
	}
	pkg := b.Package
	if pkg == "" {
		var err error
		if pkg, err = b.onlyMain(ctx, dir); err != nil {
			return nil, err
		}
	}
	return []string{"go", "build", "-o", Program, pkg}, nil
}

// onlyMain is the main package of the module, if there is one.
func (b Build) onlyMain(ctx context.Context, dir string) (string, error) {
	list := []string{"go", "list", "-f", `{{if eq .Name "main"}}{{.ImportPath}}{{end}}`, "./..."}
	text, err := b.run(ctx, dir, list)
	if err != nil {
		return "", err
	}
	mains := strings.Fields(text)
	switch len(mains) {
	case 1:
		return mains[0], nil
	case 0:
		return "", errors.New("the module has no main package")
	}
	return "", fmt.Errorf("the module has %d main packages; name one, as in go:PACKAGE or git:REF:PACKAGE:\n  %s",
		len(mains), strings.Join(mains, "\n  "))
}

func replaceProgram(words []string, program string) []string {
	var replaced []string
	for _, word := range words {
		replaced = append(replaced, strings.ReplaceAll(word, Program, program))
	}
	return replaced
}

// The files of a program that is kept.
const (
	programFile = "server"
	buildFile   = "build.json"
)

// keep moves a program, with what is known of it, from a temporary folder to its
// place. One that is there already is as good.
func (b Build) keep(built Built, temp, key string) (Built, error) {
	text, err := json.Marshal(built)
	if err != nil {
		return built, err
	}
	if err := os.WriteFile(filepath.Join(temp, buildFile), text, 0o644); err != nil {
		return built, err
	}
	place := filepath.Join(b.builds(), key)
	built.Program = filepath.Join(place, programFile)
	if err := os.Rename(temp, place); err != nil {
		remember(place)
		_, err = os.Stat(built.Program)
		return built, err
	}
	return built, nil
}

// remember marks a program as asked for, so that it is not forgotten.
func remember(place string) {
	now := time.Now()
	_ = os.Chtimes(place, now, now)
}

// kept is a program that was built before.
func (b Build) kept(key string) (built Built, err error) {
	place := filepath.Join(b.builds(), key)
	text, err := os.ReadFile(filepath.Join(place, buildFile))
	if err != nil {
		return built, err
	}
	if err := json.Unmarshal(text, &built); err != nil {
		return built, err
	}
	remember(place)
	built.Info.Ref = b.Ref
	built.Program = filepath.Join(place, programFile)
	_, err = os.Stat(built.Program)
	return built, err
}

// How names of folders begin that are not programs of commits.
const (
	linksPrefix = "links-" // in which a linker works
	newPrefix   = "new-"   // in which a program is built
	treePrefix  = "tree-"  // of a program of the working tree, which every change makes another
)

// keepFor is how long a folder is kept since it was last asked for. Those of a build or a
// linker are left only by one that was killed.
func keepFor(name string) time.Duration {
	switch {
	case strings.HasPrefix(name, linksPrefix), strings.HasPrefix(name, newPrefix):
		return 3 * time.Hour
	case strings.HasPrefix(name, treePrefix):
		return 7 * 24 * time.Hour
	}
	return 30 * 24 * time.Hour
}

// forgetOld removes programs that nobody has asked for in a while.
func (b Build) forgetOld() {
	entries, _ := os.ReadDir(b.builds()) // what cannot be read is left
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && time.Since(info.ModTime()) > keepFor(e.Name()) {
			_ = os.RemoveAll(filepath.Join(b.builds(), e.Name()))
		}
	}
}

// git runs git in the working tree.
func (b Build) git(ctx context.Context, args ...string) (string, error) {
	text, err := b.run(ctx, b.Dir, append([]string{"git", "-c", "core.hooksPath=/dev/null"}, args...))
	return strings.TrimRight(text, "\n"), err
}

// run runs a command and returns what it prints. An error has all that it said.
// If ctx is cancelled, all processes of the command are ended.
func (b Build) run(ctx context.Context, dir string, args []string) (string, error) {
	out, _, err := b.say(ctx, dir, args)
	return out, err
}

// say is run with variables, and also returns what the command says on stderr.
func (b Build) say(ctx context.Context, dir string, args []string, variables ...string) (out, said string, err error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), variables...)
	if b.Toolchain != "" {
		cmd.Env = append(cmd.Env, "GOTOOLCHAIN=go"+strings.TrimPrefix(b.Toolchain, "go"))
	}
	cmd.SysProcAttr = processAttributes()
	cmd.Cancel = func() error {
		signalGroup(cmd.Process.Pid, kill)
		return nil
	}
	cmd.WaitDelay = stopTimeout
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		text := strings.TrimSpace(stderr.String() + stdout.String())
		return "", "", fmt.Errorf("%s: %w\n  %s", strings.Join(args, " "), err, strings.ReplaceAll(text, "\n", "\n  "))
	}
	return stdout.String(), stderr.String(), nil
}

func hash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
