package workload

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// yamlFile reads nodes of a YAML file. Its errors tell the place in the file.
type yamlFile struct {
	name string
	room *int // bytes that may still be read
}

// What a file may come to when all aliases stand for what they name, of which a few
// lines can make any number: its texts, and something for everything that it lists.
const (
	mostOfFile = 256 << 20
	perNode    = 100
)

func newYAMLFile(name string) yamlFile { return yamlFile{name, new(mostOfFile)} }

// take is an error if there is no room for so many bytes more.
func (f yamlFile) take(n *yaml.Node, bytes int) error {
	if *f.room -= bytes; *f.room < 0 {
		return f.errorf(n, "all requests together take more than %d MiB", mostOfFile>>20)
	}
	return nil
}

// visit reads a node.
type visit func(n *yaml.Node) error

// parse returns the one document of a text.
func (f yamlFile) parse(text string) (*yaml.Node, error) {
	d := yaml.NewDecoder(strings.NewReader(text))
	var doc, next yaml.Node
	err := d.Decode(&doc)
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: no requests in it", f.name)
	}
	if err != nil {
		return nil, f.syntax(err)
	}
	err = d.Decode(&next)
	if err == nil {
		return nil, f.errorf(&next, "a second document; a workload is one")
	}
	if !errors.Is(err, io.EOF) {
		return nil, f.syntax(err)
	}
	return doc.Content[0], nil
}

var yamlLine = regexp.MustCompile(`^(?:yaml: )?line (\d+): `)

// syntax is an error of the YAML parser, which knows only the line.
func (f yamlFile) syntax(err error) error {
	text := strings.Join(strings.Fields(err.Error()), " ")
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		line, _ := strconv.Atoi(m[1]) // it is a number
		return &Error{File: f.name, Line: line, Text: text[len(m[0]):]}
	}
	return fmt.Errorf("%s: %s", f.name, strings.TrimPrefix(text, "yaml: "))
}

func (f yamlFile) errorf(n *yaml.Node, format string, args ...any) error {
	return &Error{File: f.name, Line: n.Line, Column: n.Column, Text: fmt.Sprintf(format, args...)}
}

// resolved is what an alias stands for, and any other node itself.
func resolved(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// pairs calls visit for each key and value of a mapping, whose keys are texts that
// differ.
func (f yamlFile) pairs(n *yaml.Node, what string, visit func(key, value *yaml.Node) error) error {
	n = resolved(n)
	if n.Kind != yaml.MappingNode {
		return f.errorf(n, "%s must be names with values (name: value)", what)
	}
	seen := map[string]bool{}
	for i := 0; i < len(n.Content); i += 2 {
		if err := f.take(n, perNode); err != nil {
			return err
		}
		key := resolved(n.Content[i])
		if key.Kind != yaml.ScalarNode {
			return f.errorf(key, "a name in %s must be a text", what)
		}
		if seen[key.Value] {
			return f.errorf(n.Content[i], "%q a second time in %s", key.Value, what)
		}
		seen[key.Value] = true
		if err := visit(n.Content[i], n.Content[i+1]); err != nil {
			return err
		}
	}
	return nil
}

// mapping reads a mapping of known keys.
func (f yamlFile) mapping(n *yaml.Node, what string, keys map[string]visit) error {
	return f.pairs(n, what, func(key, value *yaml.Node) error {
		read, known := keys[resolved(key).Value]
		if !known {
			return f.errorf(key, "unknown key %q in %s; it may have %s",
				resolved(key).Value, what, strings.Join(slices.Sorted(maps.Keys(keys)), ", "))
		}
		return read(value)
	})
}

// list reads the items of a list, one by one.
func (f yamlFile) list(n *yaml.Node, what string, item visit) error {
	n = resolved(n)
	if n.Kind != yaml.SequenceNode {
		return f.errorf(n, "%s must be a list", what)
	}
	for _, child := range n.Content {
		if err := f.take(n, perNode); err != nil {
			return err
		}
		if err := item(child); err != nil {
			return err
		}
	}
	return nil
}

// oneOrMore reads a value, or a list of them.
func (f yamlFile) oneOrMore(n *yaml.Node, what string, item visit) error {
	if resolved(n).Kind == yaml.SequenceNode {
		return f.list(n, what, item)
	}
	return item(n)
}

// scalar returns the text of a node that is a single value.
func (f yamlFile) scalar(n *yaml.Node, what string) (string, error) {
	v := resolved(n)
	if v.Kind != yaml.ScalarNode || v.Tag == "!!null" {
		return "", f.errorf(n, "%s must be a text", what)
	}
	return v.Value, f.take(n, len(v.Value))
}

// into reads a text.
func (f yamlFile) into(text *string, what string) visit {
	return func(n *yaml.Node) (err error) {
		*text, err = f.scalar(n, what)
		return err
	}
}

// integer reads a whole number within limits.
func (f yamlFile) integer(n *yaml.Node, what string, low, high int) (int, error) {
	v := resolved(n)
	i, err := strconv.Atoi(v.Value)
	if v.Kind != yaml.ScalarNode || v.Tag != "!!int" || err != nil || i < low || i > high {
		return 0, f.errorf(n, "%s must be a whole number from %d to %d", what, low, high)
	}
	return i, nil
}
