package workload

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
	"go.yaml.in/yaml/v3"
	"golang.org/x/net/http/httpguts"
)

// maxWeight keeps the sum of the weights small enough for any number of requests.
const maxWeight = 1_000_000

// ReadMix reads a workload in YAML. It is named by the file and by a hash of it and
// of the files of its bodies. An error of type *Error tells the place in the file.
func ReadMix(file string) (*Mix, error) {
	text, err := readText(file, decodeText)
	if err != nil {
		return nil, err
	}
	return parseMix(file, text, bodyReader(file))
}

// mixReader reads the description of a Mix.
type mixReader struct {
	yamlFile
	mix       *Mix
	body      func(name string) ([]byte, error)
	content   []byte // what the name is a hash of
	variables []variable
}

// variable is a value that requests take from answers, or need.
type variable struct {
	name    string
	needed  *yaml.Node // where it is first used
	inSetup bool       // a request of the setup takes it
}

func parseMix(file, text string, body func(string) ([]byte, error)) (*Mix, error) {
	return newMixReader(file, text, body).read()
}

func newMixReader(file, text string, body func(string) ([]byte, error)) *mixReader {
	mix := &Mix{file: file, text: text, bodies: map[string][]byte{}}
	r := &mixReader{yamlFile: newYAMLFile(file), mix: mix, content: []byte(text)}
	r.body = func(name string) (content []byte, err error) {
		content, err = body(name)
		mix.bodies[name] = content
		return content, err
	}
	return r
}

func (r *mixReader) read() (*Mix, error) {
	doc, err := r.parse(r.mix.text)
	if err != nil {
		return nil, err
	}
	err = r.mapping(doc, "a workload", map[string]visit{
		"setup":    r.steps(&r.mix.setup, "the setup"),
		"requests": r.steps(&r.mix.requests, "the requests"),
	})
	if err != nil {
		return nil, err
	}
	if len(r.mix.requests) == 0 {
		return nil, fmt.Errorf("%s: no requests in it", r.mix.file)
	}
	r.mix.name = contentName(r.mix.file, r.content)
	return r.mix, r.resolve()
}

func (r *mixReader) steps(into *[]*step, what string) visit {
	return func(n *yaml.Node) error {
		return r.list(n, what, func(item *yaml.Node) error {
			s, err := r.step(item, into == &r.mix.setup)
			*into = append(*into, s)
			return err
		})
	}
}

// rawStep is a request before its parts are put together.
type rawStep struct {
	step
	name     string
	path     *yaml.Node
	header   []*yaml.Node // names and values in turn
	body     *yaml.Node
	bodyFile *yaml.Node
}

// step reads a request.
func (r *mixReader) step(n *yaml.Node, setup bool) (*step, error) {
	raw := &rawStep{step: step{weight: 1, kind: -1}}
	keys := map[string]visit{
		"name":      r.into(&raw.name, "a name"),
		"method":    r.into(&raw.method, "a method"),
		"path":      keep(&raw.path),
		"headers":   r.headers(raw),
		"body":      keep(&raw.body),
		"body_file": keep(&raw.bodyFile),
		"check":     func(n *yaml.Node) error { return r.check(n, &raw.check) },
		"capture":   func(n *yaml.Node) error { return r.captures(n, &raw.step, setup) },
	}
	if !setup {
		keys["weight"] = func(n *yaml.Node) (err error) {
			raw.weight, err = r.integer(n, "a weight", 1, maxWeight)
			return err
		}
	}
	err := r.mapping(n, "a request", keys)
	if err != nil {
		return nil, err
	}
	err = r.assemble(n, raw)
	if err != nil || setup {
		return &raw.step, err
	}
	return &raw.step, r.addKind(n, raw)
}

func keep(into **yaml.Node) visit {
	return func(n *yaml.Node) error {
		*into = n
		return nil
	}
}

func (r *mixReader) addKind(n *yaml.Node, raw *rawStep) error {
	if raw.name == "" {
		path, _, _ := strings.Cut(resolved(raw.path).Value, "?")
		raw.name = raw.method + " " + path
	}
	if slices.Contains(r.mix.kinds, raw.name) {
		return r.errorf(n, "a second request named %q; every request needs a name of its own", raw.name)
	}
	raw.kind = len(r.mix.kinds)
	r.mix.kinds = append(r.mix.kinds, raw.name)
	r.mix.total += raw.weight
	return nil
}

// assemble puts the parts of a request together.
func (r *mixReader) assemble(n *yaml.Node, raw *rawStep) error {
	if raw.path == nil {
		return r.errorf(n, "a request needs a path")
	}
	if raw.body != nil && raw.bodyFile != nil {
		return r.errorf(raw.bodyFile, "a request has either a body or a body_file")
	}
	err := r.assemblePath(raw)
	if err == nil {
		err = r.assembleBody(raw)
	}
	if err == nil {
		err = r.assembleHeader(raw)
	}
	if err != nil {
		return err
	}
	return r.assembleMethod(n, raw)
}

func (r *mixReader) assemblePath(raw *rawStep) error {
	path, err := r.template(raw.path, "a path", &raw.step)
	if err != nil {
		return err
	}
	start := resolved(raw.path).Value
	if !strings.HasPrefix(start, "/") && !strings.HasPrefix(start, "{{") {
		return r.errorf(raw.path, "the path %q must begin with /; the host is the server's", start)
	}
	path.fixed = string(escapePath([]byte(path.fixed)))
	raw.step.path = path
	return nil
}

func (r *mixReader) assembleBody(raw *rawStep) (err error) {
	if raw.body != nil {
		raw.step.body, err = r.template(raw.body, "a body", &raw.step)
		return err
	}
	if raw.bodyFile == nil {
		return nil
	}
	name, err := r.scalar(raw.bodyFile, "a body_file")
	if err != nil {
		return err
	}
	body, err := r.body(name)
	if err != nil {
		return r.errorf(raw.bodyFile, "reading the body: %v", err)
	}
	if err := r.take(raw.bodyFile, len(body)); err != nil {
		return err
	}
	r.content = append(r.content, body...)
	raw.step.body = &template{parts: []part{literal(string(body))}, fixed: string(body)}
	return nil
}

// assembleMethod checks the method, or finds it. A method that usually comes with a
// body says so if there is none.
func (r *mixReader) assembleMethod(n *yaml.Node, raw *rawStep) error {
	if raw.method == "" {
		raw.method = http.MethodGet
		if raw.step.body != nil {
			raw.method = http.MethodPost
		}
	}
	if !httpguts.ValidHeaderFieldName(raw.method) { // a token, as it
		return r.errorf(n, "bad method %q", raw.method)
	}
	if raw.step.body == nil && slices.Contains([]string{"POST", "PUT", "PATCH"}, raw.method) {
		raw.addField("Content-Length", &template{fixed: "0"})
	}
	return nil
}

func (s *rawStep) addField(name string, value *template) {
	s.step.header = append(s.step.header, headerTemplate{name, value})
}

// headers keeps the fields of a header, each name once per value.
func (r *mixReader) headers(raw *rawStep) visit {
	return func(n *yaml.Node) error {
		return r.pairs(n, "headers", func(key, value *yaml.Node) error {
			return r.oneOrMore(value, "the values of a header", func(item *yaml.Node) error {
				raw.header = append(raw.header, key, item)
				return nil
			})
		})
	}
}

func (r *mixReader) assembleHeader(raw *rawStep) error {
	agent := false
	for i := 0; i < len(raw.header); i += 2 {
		key, value := raw.header[i], raw.header[i+1]
		name := resolved(key).Value
		if !httpguts.ValidHeaderFieldName(name) {
			return r.errorf(key, "bad name of a header field: %q", name)
		}
		if framing(name) {
			return r.errorf(key, "%s follows from the body; leave it out", name)
		}
		t, err := r.template(value, "the value of a header", &raw.step)
		if err != nil {
			return err
		}
		if !httpguts.ValidHeaderFieldValue(t.fixed) {
			return r.errorf(value, "bad value of header field %s: %q", name, t.fixed)
		}
		if strings.EqualFold(name, "Host") {
			raw.step.host = t
			continue
		}
		agent = agent || strings.EqualFold(name, "User-Agent")
		raw.addField(name, t)
	}
	if !agent {
		raw.step.header = slices.Insert(raw.step.header, 0,
			headerTemplate{"User-Agent", &template{fixed: "eventobench"}})
	}
	return nil
}

// template compiles a text of a request.
func (r *mixReader) template(n *yaml.Node, what string, of *step) (*template, error) {
	text, err := r.scalar(n, what)
	if err != nil {
		return nil, err
	}
	t, err := compileTemplate(text, func(name string) int { return r.variable(name, n) })
	if err != nil {
		return nil, r.errorf(n, "%s: %v", what, err)
	}
	of.needs = append(of.needs, t.vars...)
	return t, nil
}

// variable returns the index of a variable. The node is where it is needed, or nil.
func (r *mixReader) variable(name string, needed *yaml.Node) int {
	i := slices.IndexFunc(r.variables, func(v variable) bool { return v.name == name })
	if i < 0 {
		i = len(r.variables)
		r.variables = append(r.variables, variable{name: name})
	}
	if v := &r.variables[i]; v.needed == nil {
		v.needed = needed
	}
	return i
}

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// captures reads lines such as "token: json data.token".
func (r *mixReader) captures(n *yaml.Node, of *step, setup bool) error {
	return r.pairs(n, "capture", func(key, value *yaml.Node) error {
		name := resolved(key).Value
		if !variableName.MatchString(name) {
			return r.errorf(key, "bad name %q: use letters, digits and _", name)
		}
		text, err := r.scalar(value, "what is captured")
		if err != nil {
			return err
		}
		from, what, _ := strings.Cut(text, " ")
		c := capture{name: name, variable: r.variable(name, nil)}
		switch what = strings.TrimSpace(what); {
		case from == "json" && what != "":
			c.json = what
		case from == "header" && what != "":
			c.header = what
		default:
			return r.errorf(value, "%q: write \"json PATH\" or \"header NAME\"", text)
		}
		if setup {
			r.variables[c.variable].inSetup = true
		}
		of.captures = append(of.captures, c)
		return nil
	})
}

// check reads what an answer must be.
func (r *mixReader) check(n *yaml.Node, c *check) error {
	return r.mapping(n, "a check", map[string]visit{
		"status": func(n *yaml.Node) error {
			return r.oneOrMore(n, "a status", func(n *yaml.Node) error {
				status, err := r.integer(n, "a status", 200, 599)
				c.statuses = append(c.statuses, status)
				return err
			})
		},
		"body contains": func(n *yaml.Node) error {
			return r.oneOrMore(n, "what a body contains", func(n *yaml.Node) error {
				text, err := r.scalar(n, "what a body contains")
				c.contains = append(c.contains, []byte(text))
				return err
			})
		},
		"json": func(n *yaml.Node) error {
			return r.pairs(n, "json", func(key, value *yaml.Node) error {
				j, err := r.jsonCheck(resolved(key).Value, value)
				c.json = append(c.json, j)
				return err
			})
		},
	})
}

// jsonCheck reads what a value in JSON must be: equal to a single value, or above
// or below a number.
func (r *mixReader) jsonCheck(path string, n *yaml.Node) (jsonCheck, error) {
	v := resolved(n)
	if v.Kind == yaml.MappingNode {
		return r.rangeCheck(path, n)
	}
	if v.Kind != yaml.ScalarNode {
		return jsonCheck{}, r.errorf(n, "want a single value, or {above: N} or {below: N}")
	}
	j := jsonCheck{path: path, want: v.Value}
	switch v.Tag {
	case "!!int", "!!float":
		var number float64
		if err := v.Decode(&number); err != nil {
			return j, r.errorf(n, "%q is no number that JSON can have", v.Value)
		}
		exact := exactly(v)
		j.ok = func(got gjson.Result) bool {
			return got.Type == gjson.Number && got.Num == number && exact(got.Raw)
		}
	case "!!bool":
		j.ok = func(got gjson.Result) bool { return got.IsBool() && got.Bool() == strings.EqualFold(v.Value, "true") }
	case "!!null":
		j.want = "null"
		j.ok = func(got gjson.Result) bool { return got.Exists() && got.Type == gjson.Null }
	default:
		j.want = fmt.Sprintf("%q", v.Value)
		j.ok = func(got gjson.Result) bool { return got.Type == gjson.String && got.Str == v.Value }
	}
	return j, nil
}

// exactly tells whole numbers apart that are one as floating-point numbers. It takes the
// text of a number in JSON that is equal to that of the node as one of these.
func exactly(n *yaml.Node) func(raw string) bool {
	var number any
	if err := n.Decode(&number); err != nil || n.Tag != "!!int" {
		return func(string) bool { return true }
	}
	want := fmt.Sprint(number) // decimal, however the file has it
	return func(raw string) bool { return raw == want || raw == "-0" || strings.ContainsAny(raw, ".eE") }
}

func (r *mixReader) rangeCheck(path string, n *yaml.Node) (jsonCheck, error) {
	var above, below *float64
	number := func(into **float64) visit {
		return func(n *yaml.Node) error {
			*into = new(float64)
			v := resolved(n)
			if v.Tag != "!!int" && v.Tag != "!!float" || v.Decode(*into) != nil {
				return r.errorf(n, "want a number")
			}
			return nil
		}
	}
	err := r.mapping(n, "a JSON check", map[string]visit{"above": number(&above), "below": number(&below)})
	if err == nil && above == nil && below == nil {
		err = r.errorf(n, "want {above: N} or {below: N}")
	}
	var want []string
	if above != nil {
		want = append(want, fmt.Sprintf("above %v", *above))
	}
	if below != nil {
		want = append(want, fmt.Sprintf("below %v", *below))
	}
	return jsonCheck{path: path, want: strings.Join(want, " and "), ok: func(got gjson.Result) bool {
		return got.Type == gjson.Number && (above == nil || got.Num > *above) && (below == nil || got.Num < *below)
	}}, err
}
