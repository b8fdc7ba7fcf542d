package subject

import (
	"context"
	"debug/elf"
	"debug/gosym"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/shell"
)

// Linker links a program that Make has built again and again, each time with its
// functions in another order (go tool link -randlayout). Of a build it needs but the
// last command, which takes a third of the time of all of them.
type Linker struct {
	build   Build
	built   Built
	dir     string   // has all that is linked, and what from
	command []string // environment, linker and arguments, with Program
	orders  map[string]bool
	names   string // hash of the names of all functions
	last    string // program that was linked
}

// Linker builds the program once more, to see how it is linked. It is an error if the
// source is not what it was, or if the command that builds shows no linker of Go's at
// work. The caller must close it.
func (b Build) Linker(ctx context.Context, built Built) (*Linker, error) {
	if b.Log != nil {
		fmt.Fprintf(b.Log, "linking %s with its functions in other orders\n", b.what())
	}
	dir, err := os.MkdirTemp(b.builds(), linksPrefix)
	if err != nil {
		return nil, err
	}
	l := &Linker{build: b, built: built, dir: dir, orders: map[string]bool{}}
	if err := l.watch(ctx); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// watch builds the program and keeps the command that linked it.
func (l *Linker) watch(ctx context.Context) (err error) {
	environment, err := l.build.goEnv(ctx)
	if err != nil {
		return err
	}
	source := l.build.Dir
	if l.build.Ref != "" {
		tree, err := l.build.addWorktree(ctx, l.built.Info.Commit) // a branch may have moved
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, tree.remove()) }()
		prefix, err := l.build.git(ctx, "rev-parse", "--show-prefix")
		if err != nil {
			return err
		}
		source = filepath.Join(tree.dir, prefix)
	}
	again := filepath.Join(l.dir, programFile)
	_, said, err := l.build.say(ctx, source, replaceProgram(l.built.Info.Command, again),
		environment[0]+" -x -work", "GOTMPDIR="+l.dir)
	if err != nil {
		return err
	}
	if l.command, err = linkCommand(said); err != nil {
		return fmt.Errorf("the command %q: %w", strings.Join(l.built.Info.Command, " "), err)
	}
	return l.checkSource(again)
}

// checkSource notes the functions of the program that was built before, and returns an
// error if the one that was built again is another. A commit stays what it is.
func (l *Linker) checkSource(again string) error {
	order, names, err := functions(l.built.Program)
	if err != nil {
		return err
	}
	l.orders[order], l.names = true, names
	if l.build.Ref != "" {
		return nil
	}
	before, err := hashFile(l.built.Program)
	if err != nil {
		return err
	}
	now, err := hashFile(again)
	if err == nil && now != before {
		err = l.changed()
	}
	return err
}

func (l *Linker) changed() error {
	return fmt.Errorf("the source of %s changed while it was measured", l.build.what())
}

// linkCommand finds the command that linked a program in what go build -x said.
func linkCommand(said string) (words []string, err error) {
	var work string
	for line := range strings.Lines(said) {
		line = strings.TrimSpace(line)
		if dir, begins := strings.CutPrefix(line, "WORK="); begins {
			work = dir
		}
		if !goLinks.MatchString(line) {
			continue
		}
		words, err = shell.Fields(line, func(name string) string {
			return map[string]string{"WORK": work}[name]
		})
		if err != nil {
			return nil, fmt.Errorf("reading how it links, %s: %w", line, err)
		}
	}
	out := slices.Index(words, "-o")
	if out < 0 || out+1 >= len(words)-1 {
		return nil, errors.New("it shows no linker of Go's at work: it does not hand GOFLAGS on to go build, " +
			"or does not print what that prints")
	}
	words[out+1] = Program
	return words, nil
}

// goLinks matches a command that links. It may begin with variables.
var goLinks = regexp.MustCompile(`^(\w+=\S* )*\S*[/\\]link(\.exe)? -o .*-importcfg `)

// Link links the program with its functions in the order of a seed, which is not 0.
// It is without the tables that only debuggers read (-w), which take a third of the
// time, and is there until the next one is linked.
func (l *Linker) Link(ctx context.Context, seed int64) (Built, error) {
	built := l.built
	dir := filepath.Join(l.dir, fmt.Sprintf("layout-%d", seed))
	if err := os.Mkdir(dir, 0o755); err != nil {
		return built, err
	}
	_ = os.Remove(l.last)
	built.Program = filepath.Join(dir, programFile)
	l.last = built.Program
	words := replaceProgram(l.command, built.Program)
	object := len(words) - 1
	words = append(words[:object:object], "-w", fmt.Sprintf("-randlayout=%d", seed), words[object])
	set := 0
	for strings.Contains(words[set], "=") {
		set++
	}
	if _, _, err := l.build.say(ctx, l.dir, words[set:], words[:set]...); err != nil {
		return built, noRandLayout(fmt.Errorf("linking %s: %w", l.build.what(), err))
	}
	return built, l.check(built.Program)
}

// check returns an error if a program is not the same with another order of functions.
func (l *Linker) check(program string) error {
	order, names, err := functions(program)
	switch {
	case err != nil:
		return err
	case names != l.names:
		return l.changed()
	case l.orders[order]:
		return fmt.Errorf("the linker of %s gives functions no other order", l.build.what())
	}
	l.orders[order] = true
	return nil
}

// Close removes all that was linked.
func (l *Linker) Close() error { return os.RemoveAll(l.dir) }

// noRandLayout replaces what an old linker says, which is all of its usage.
func noRandLayout(err error) error {
	if strings.Contains(err.Error(), "flag provided but not defined: -randlayout") {
		return errors.New("the linker of this version of Go has no -randlayout")
	}
	return err
}

// functions are hashes of the names of a program's functions, in the order of their
// addresses and in that of the alphabet; of what is not in ELF, of all of it and of
// nothing.
func functions(program string) (order, names string, err error) {
	f, err := elf.Open(program)
	var format *elf.FormatError
	if errors.As(err, &format) || errors.Is(err, io.EOF) {
		order, err = hashFile(program)
		return order, "", err
	}
	if err != nil {
		return "", "", err
	}
	defer f.Close()
	all, err := functionNames(f)
	if err != nil {
		return "", "", fmt.Errorf("reading the functions of %s: %w", program, err)
	}
	order = hash([]byte(strings.Join(all, "\n")))
	slices.Sort(all)
	return order, hash([]byte(strings.Join(all, "\n"))), nil
}

// functionNames are in the order of the functions' addresses.
func functionNames(f *elf.File) ([]string, error) {
	lines := slices.IndexFunc(f.Sections, func(s *elf.Section) bool { return strings.HasSuffix(s.Name, ".gopclntab") })
	text := f.Section(".text")
	if lines < 0 || text == nil {
		return nil, errors.New("it is no program of Go's")
	}
	data, err := f.Sections[lines].Data()
	if err != nil {
		return nil, err
	}
	table, err := gosym.NewTable(nil, gosym.NewLineTable(data, text.Addr))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, function := range table.Funcs {
		names = append(names, function.Name)
	}
	return names, nil
}
