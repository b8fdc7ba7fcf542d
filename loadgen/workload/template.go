package workload

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"text/template/parse"
)

// template is a text with placeholders in the syntax of text/template, compiled.
// Executing text/template itself takes seven allocations and more than ten times the
// time per placeholder (BenchmarkTextTemplate), on processors that the server needs.
type template struct {
	parts []part
	vars  []int  // the values taken from answers that it needs
	drawn bool   // it is not the same each time
	fixed string // the text otherwise
}

// part appends its share of a text.
type part func(b []byte, s *mixSource) []byte

// append appends the text for the next request.
func (t *template) append(b []byte, s *mixSource) []byte {
	for _, p := range t.parts {
		b = p(b, s)
	}
	return b
}

// placeholders is what {{…}} may call. Values of the map are not used: it is how
// the parser is told which names there are.
var placeholders = map[string]any{"seq": 0, "worker": 0, "uuid": 0, "rand": 0, "pick": 0}

// compileTemplate compiles a text. variable returns the index of a value taken from
// an answer.
func compileTemplate(text string, variable func(name string) int) (*template, error) {
	trees, err := parse.Parse("text", text, "", "", placeholders)
	if err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "template: text:"))
	}
	if len(trees) != 1 {
		return nil, errors.New("{{define}} is not known here")
	}
	c := &compiler{variable: variable}
	for _, node := range trees["text"].Root.Nodes {
		if err := c.add(node); err != nil {
			return nil, err
		}
	}
	if !c.drawn {
		c.fixed = string(c.template.append(nil, nil))
	}
	return &c.template, nil
}

type compiler struct {
	template
	variable func(name string) int
}

func (c *compiler) add(node parse.Node) error {
	if text, ok := node.(*parse.TextNode); ok {
		c.parts = append(c.parts, literal(string(text.Text)))
		return nil
	}
	action, ok := node.(*parse.ActionNode)
	if !ok || len(action.Pipe.Cmds) != 1 || len(action.Pipe.Decl) > 0 {
		begin, _, _ := strings.Cut(node.String(), "}}")
		return fmt.Errorf("%s}} is not known here; use {{seq}}, {{worker}}, {{uuid}}, {{rand 1 9}}, "+
			"{{pick \"a\" \"b\"}} or {{.name}}", begin)
	}
	p, err := c.command(action.Pipe.Cmds[0].Args)
	if err != nil {
		return fmt.Errorf("%s: %w", action, err)
	}
	c.parts = append(c.parts, p)
	return nil
}

// command compiles what stands between braces.
func (c *compiler) command(args []parse.Node) (part, error) {
	switch first := args[0].(type) {
	case *parse.StringNode:
		if len(args) == 1 {
			return literal(first.Text), nil
		}
	case *parse.FieldNode:
		c.drawn = true
		if len(args) == 1 && len(first.Ident) == 1 {
			return c.variablePart(first.Ident[0]), nil
		}
	case *parse.IdentifierNode:
		c.drawn = true
		return callPart(first.Ident, args[1:])
	}
	return nil, errors.New("use a name such as {{.token}}, or a function with its arguments")
}

func (c *compiler) variablePart(name string) part {
	index := c.variable(name)
	c.vars = append(c.vars, index)
	return func(b []byte, s *mixSource) []byte { return append(b, s.values[index]...) }
}

func literal(text string) part {
	return func(b []byte, _ *mixSource) []byte { return append(b, text...) }
}

// callPart compiles the call of a function.
func callPart(name string, args []parse.Node) (part, error) {
	switch name {
	case "rand":
		return randPart(args)
	case "pick":
		return pickPart(args)
	}
	if len(args) > 0 {
		return nil, fmt.Errorf("%s takes no argument", name)
	}
	switch name {
	case "seq":
		return func(b []byte, s *mixSource) []byte { return strconv.AppendInt(b, s.sent, 10) }, nil
	case "worker":
		return func(b []byte, s *mixSource) []byte { return strconv.AppendInt(b, int64(s.worker), 10) }, nil
	case "uuid":
		return appendUUID, nil
	}
	return nil, fmt.Errorf("%s is not known here", name) // text/template's own functions
}

// randPart draws from the integers from the first to the second, both included.
func randPart(args []parse.Node) (part, error) {
	if len(args) == 2 {
		low, lowOK := args[0].(*parse.NumberNode)
		high, highOK := args[1].(*parse.NumberNode)
		if lowOK && highOK && low.IsInt && high.IsInt && low.Int64 <= high.Int64 && high.Int64-low.Int64 >= 0 {
			n := uint64(high.Int64-low.Int64) + 1
			return func(b []byte, s *mixSource) []byte {
				return strconv.AppendInt(b, low.Int64+int64(s.rng.Uint64N(n)), 10)
			}, nil
		}
	}
	return nil, errors.New("rand takes two integers, the lower one first")
}

// pickPart draws from its arguments.
func pickPart(args []parse.Node) (part, error) {
	var from []string
	for _, arg := range args {
		switch arg := arg.(type) {
		case *parse.StringNode:
			from = append(from, arg.Text)
		case *parse.NumberNode:
			from = append(from, arg.Text)
		default:
			return nil, fmt.Errorf("pick takes texts in quotes and numbers, not %s", arg)
		}
	}
	if len(from) == 0 {
		return nil, errors.New("pick needs something to draw from")
	}
	return func(b []byte, s *mixSource) []byte { return append(b, from[s.rng.IntN(len(from))]...) }, nil
}

// appendUUID appends a random UUID (RFC 9562, version 4).
func appendUUID(b []byte, s *mixSource) []byte {
	var id [16]byte
	for i := range id {
		id[i] = byte(s.rng.Uint32())
	}
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	start := 0
	for i, end := range []int{4, 6, 8, 10, 16} {
		if i > 0 {
			b = append(b, '-')
		}
		b = hex.AppendEncode(b, id[start:end])
		start = end
	}
	return b
}
