package action

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// metadata is what the runner reads of action.yml.
type metadata struct {
	Inputs map[string]struct {
		Default string
	}
	Outputs map[string]struct {
		Value string
	}
	Runs struct {
		Steps []step
	}
}

type step struct {
	ID, Name, If, Shell, Run, Uses string
	Env, With                      map[string]string
}

// readAction reads action.yml.
func readAction(t *testing.T) metadata {
	t.Helper()
	text, err := os.ReadFile("action.yml")
	if err != nil {
		t.Fatal(err)
	}
	var m metadata
	if err := yaml.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// runner plays a runner of GitHub Actions.
type runner struct {
	workspace string            // the checkout
	temp      string            // of the job
	api       string            // GitHub's, at a server of the test
	token     string            // of the job
	event     map[string]any    // what made the workflow run
	inputs    map[string]string // of "with"
}

// played is what came of the action.
type played struct {
	log      string
	summary  string
	outputs  map[string]string
	uploaded map[string]string // folders by the names of artifacts
	code     int               // of the first step that failed
}

// play runs the steps of the action.
func (r runner) play(t *testing.T) played {
	t.Helper()
	action := readAction(t)
	c := contexts{"github": map[string]any{"token": r.token, "event": r.event}, "inputs": map[string]any{},
		"steps": map[string]any{}}
	for name, input := range action.Inputs {
		c["inputs"].(map[string]any)[name] = c.expand(input.Default)
	}
	for name, value := range r.inputs {
		if _, known := action.Inputs[name]; !known {
			t.Fatalf("the action has no input %q", name)
		}
		c["inputs"].(map[string]any)[name] = value
	}
	p := played{outputs: map[string]string{}, uploaded: map[string]string{}}
	summary := filepath.Join(t.TempDir(), "summary.md")
	for _, s := range action.Runs.Steps {
		if !c.holds(s.If, p.code != 0) {
			continue
		}
		if s.Uses != "" {
			p.uploaded[c.expand(s.With["name"])] = c.expand(s.With["path"])
			continue
		}
		outputs, log, code := r.step(t, c, s, summary)
		c["steps"].(map[string]any)[s.ID] = map[string]any{"outputs": outputs}
		p.log += log
		if p.code == 0 {
			p.code = code
		}
	}
	for name, output := range action.Outputs {
		p.outputs[name] = c.expand(output.Value)
	}
	text, err := os.ReadFile(summary)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	p.summary = string(text)
	t.Logf("exit code %d\n%s\n--- summary\n%s", p.code, p.log, p.summary)
	return p
}

// step runs one step as the runner does.
func (r runner) step(t *testing.T, c contexts, s step, summary string) (outputs map[string]any, log string, code int) {
	t.Helper()
	if s.Shell != "bash" || strings.Contains(s.Run, "${{") {
		t.Fatalf("step %q: shell %q; no input may be spliced into %q", s.Name, s.Shell, s.Run)
	}
	output := filepath.Join(t.TempDir(), "output")
	path, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", s.Run)
	cmd.Dir = r.workspace
	cmd.Env = append(os.Environ(), "GITHUB_ACTIONS=true", "GITHUB_ACTION_PATH="+path, "GITHUB_WORKSPACE="+r.workspace,
		"GITHUB_OUTPUT="+output, "GITHUB_STEP_SUMMARY="+summary, "RUNNER_TEMP="+r.temp, "GITHUB_API_URL="+r.api,
		"GITHUB_SERVER_URL=https://github.example", "GITHUB_REPOSITORY=shop/shop")
	for name, value := range s.Env {
		cmd.Env = append(cmd.Env, name+"="+c.expand(value))
	}
	text, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	outputs = map[string]any{}
	written, _ := os.ReadFile(output) // there is none if nothing was put out
	for line := range strings.Lines(string(written)) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		outputs[name] = value
	}
	return outputs, fmt.Sprintf("--- %s\n%s", s.Name, text), cmd.ProcessState.ExitCode()
}

// contexts are what expressions may name.
type contexts map[string]any

var expression = regexp.MustCompile(`\$\{\{(.*?)\}\}`)

// expand replaces the expressions in a text.
func (c contexts) expand(text string) string {
	return expression.ReplaceAllStringFunc(text, func(e string) string {
		for alternative := range strings.SplitSeq(expression.FindStringSubmatch(e)[1], "||") {
			if value := c.value(alternative); value != "" {
				return value
			}
		}
		return ""
	})
}

// value is that of a literal, or of a path such as github.event.before; empty if
// there is none.
func (c contexts) value(path string) string {
	path = strings.TrimSpace(path)
	if text, literal := strings.CutPrefix(path, "'"); literal {
		return strings.TrimSuffix(text, "'")
	}
	var at any = map[string]any(c)
	for name := range strings.SplitSeq(path, ".") {
		fields, _ := at.(map[string]any)
		at = fields[name]
	}
	if at == nil {
		return ""
	}
	return fmt.Sprint(at)
}

// holds reports whether a step runs: its condition is that all of several hold. One
// without a status function also wants that nothing failed.
func (c contexts) holds(condition string, failed bool) bool {
	statusAsked := false
	if m := expression.FindStringSubmatch(condition); m != nil {
		for part := range strings.SplitSeq(m[1], "&&") {
			part = strings.TrimSpace(part)
			left, right, differs := strings.Cut(part, "!=")
			if !differs {
				left, right, _ = strings.Cut(part, "==")
			}
			switch {
			case part == "!cancelled()":
				statusAsked = true
			case (c.value(left) == c.value(right)) == differs:
				return false
			}
		}
	}
	return statusAsked || !failed
}

// pullRequest is the event of a pull request onto a commit.
func pullRequest(t *testing.T, number int, base string) map[string]any {
	t.Helper()
	var event map[string]any
	text := fmt.Sprintf(`{"action": "synchronize", "pull_request": {"number": %d, "base": {"sha": %q}}}`, number, base)
	if err := json.Unmarshal([]byte(text), &event); err != nil {
		t.Fatal(err)
	}
	return event
}

// with are inputs, and more of them.
func with(inputs map[string]string, more map[string]string) map[string]string {
	all := maps.Clone(inputs)
	maps.Copy(all, more)
	return all
}

// TestExpressions holds what the played runner makes of expressions.
func TestExpressions(t *testing.T) {
	c := contexts{"inputs": map[string]any{"a": "x", "b": ""}, "github": map[string]any{"event": map[string]any{"n": 7.0}}}
	for text, want := range map[string]string{
		"${{ inputs.a }}-${{ github.event.n }}": "x-7",
		"${{ github.event.m || inputs.a }}":     "x",
		"${{ inputs.b || github.none.m }}":      "",
		"plain":                                 "plain",
	} {
		if got := c.expand(text); got != want {
			t.Errorf("%s is %q, want %q", text, got, want)
		}
	}
	for _, tt := range []struct {
		condition    string
		failed, want bool
	}{
		{"", false, true},
		{"", true, false},
		{"${{ inputs.a == 'x' }}", false, true},
		{"${{ inputs.a == 'x' }}", true, false},
		{"${{ !cancelled() && inputs.b != '' }}", false, false},
		{"${{ !cancelled() && inputs.a != '' }}", true, true},
	} {
		if got := c.holds(tt.condition, tt.failed); got != tt.want {
			t.Errorf("%q after a failure %v: %v, want %v", tt.condition, tt.failed, got, tt.want)
		}
	}
}
