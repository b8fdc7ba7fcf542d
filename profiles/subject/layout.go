package subject

import (
	"context"
	"debug/elf"
	"debug/gosym"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// asLinked is the seed of no order: the linker's own.
const asLinked = 0

// Layouts links a program that Make has built again, once for every seed, with its
// functions in another order (go tool link -randlayout). Seeds are not 0. It is an
// error if the source is not what it was, or if the command that builds does not
// hand the flag on to the linker.
func (b Build) Layouts(ctx context.Context, built Built, seeds []int64) ([]Built, error) {
	if b.Log != nil {
		fmt.Fprintf(b.Log, "linking %s with its functions in %d other orders\n", b.what(), len(seeds))
	}
	if b.Ref != "" {
		b.Ref = built.Info.Commit // a branch may have moved
	}
	all, err := b.makeAll(ctx, append(slices.Clone(seeds), asLinked))
	if err != nil {
		return nil, noRandLayout(err)
	}
	layouts, again := all[:len(seeds)], all[len(seeds)]
	if again.Program != built.Program {
		return nil, fmt.Errorf("the source of %s changed while it was measured", b.what())
	}
	return layouts, checkOrders(append([]Built{built}, layouts...))
}

// noRandLayout replaces what an old linker says, which is all of its usage.
func noRandLayout(err error) error {
	if strings.Contains(err.Error(), "flag provided but not defined: -randlayout") {
		return errors.New("the linker of this version of Go has no -randlayout")
	}
	return err
}

// checkOrders returns an error if two programs have their functions in the same
// order.
func checkOrders(programs []Built) error {
	seen := map[string]bool{}
	for _, p := range programs {
		order, err := functionOrder(p.Program)
		if err != nil {
			return fmt.Errorf("reading the order of functions in %s: %w", p.Program, err)
		}
		if seen[order] {
			return fmt.Errorf("the command %q does not hand -ldflags of GOFLAGS on to Go's linker",
				strings.Join(p.Info.Command, " "))
		}
		seen[order] = true
	}
	return nil
}

// functionOrder is a hash of the names of a program's functions in the order of
// their addresses; of what is not in ELF, of all of it.
func functionOrder(program string) (string, error) {
	f, err := elf.Open(program)
	var format *elf.FormatError
	if errors.As(err, &format) || errors.Is(err, io.EOF) {
		binary, err := readBinary(program)
		return binary.SHA256, err
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	lines := slices.IndexFunc(f.Sections, func(s *elf.Section) bool { return strings.HasSuffix(s.Name, ".gopclntab") })
	text := f.Section(".text")
	if lines < 0 || text == nil {
		return "", errors.New("it is no program of Go's")
	}
	data, err := f.Sections[lines].Data()
	if err != nil {
		return "", err
	}
	table, err := gosym.NewTable(nil, gosym.NewLineTable(data, text.Addr))
	if err != nil {
		return "", err
	}
	var names strings.Builder
	for _, function := range table.Funcs {
		names.WriteString(function.Name + "\n")
	}
	return hash([]byte(names.String())), nil
}

// These begin the keys of programs that have another order.
const (
	commitLayout = "layout-"
	treeLayout   = "treelayout-"
)

// keepFor is how long the program of a key is kept since it was last asked for. There
// are many of other orders, and those of a working tree are hardly asked for again.
func keepFor(key string) time.Duration {
	const day = 24 * time.Hour
	switch {
	case strings.HasPrefix(key, treeLayout):
		return time.Hour
	case strings.HasPrefix(key, commitLayout):
		return day
	}
	return 30 * day
}

// links are builds of the same with their functions in the given orders.
func (b Build) links(layouts []int64, environment []string) (all []Build) {
	goflags := strings.TrimPrefix(environment[0], "GOFLAGS=")
	for _, seed := range layouts {
		link := b
		link.layout, link.goflags = seed, withLayout(goflags, seed)
		all = append(all, link)
	}
	return all
}

// key is that of a program with this order, made of what tells it from others.
func (b Build) key(source string) string {
	if b.layout == asLinked {
		return source
	}
	prefix := commitLayout
	if b.Ref == "" {
		prefix = treeLayout
	}
	return fmt.Sprintf("%s%d-%s", prefix, b.layout, source)
}

// ldflags finds -ldflags in GOFLAGS, whose entries are separated by spaces and may
// be in quotes.
var ldflags = regexp.MustCompile(`(^|\s)(?:'(--?ldflags=[^']*)'|"(--?ldflags=[^"]*)"|(--?ldflags=\S*))`)

// withLayout adds an order of functions to the value of GOFLAGS.
func withLayout(goflags string, seed int64) string {
	add := fmt.Sprintf("-randlayout=%d", seed)
	if !ldflags.MatchString(goflags) {
		return strings.TrimSpace(goflags + " -ldflags=" + add)
	}
	return ldflags.ReplaceAllStringFunc(goflags, func(entry string) string {
		parts := ldflags.FindStringSubmatch(entry)
		quote := "'"
		if parts[3] != "" {
			quote = `"`
		}
		return parts[1] + quote + parts[2] + parts[3] + parts[4] + " " + add + quote
	})
}

// layoutCommand adds an order of functions to the -ldflags that a go build has of
// its own, which win over those of GOFLAGS.
func (b Build) layoutCommand(words []string) []string {
	if b.layout == asLinked || filepath.Base(words[0]) != "go" {
		return words
	}
	words = slices.Clone(words)
	add := fmt.Sprintf(" -randlayout=%d", b.layout)
	for i, word := range words {
		flag, _, hasValue := strings.Cut(word, "=")
		switch {
		case flag != "-ldflags" && flag != "--ldflags":
		case hasValue:
			words[i] += add
		case i+1 < len(words):
			words[i+1] += add
		}
	}
	return words
}
