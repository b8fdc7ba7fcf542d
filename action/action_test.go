// Package action holds the GitHub Action: action.yml and its scripts. Its tests
// play the runner.
package action

import (
	"encoding/xml"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/eventobench/eventobench/internal/testlong"
)

// short are inputs for which the gate takes seconds. Timing is not gated: only what
// is counted exactly is the same on any machine.
var short = map[string]string{
	"metric-set": "allocs",
	"flags":      "--blocks=10\n--rounds=2\n--slice=10ms\n--warmup=10\n",
	"workload":   "visitors.yaml",
}

// shop is a repository of the shop of docs/examples. Its branch main has the search
// that is slow, and then the fast one.
type shop struct {
	dir        string
	slow, fast string // commits
}

func newShop(t *testing.T) shop {
	t.Helper()
	for _, tool := range []string{"bash", "git", "curl", "jq"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed, so the action is not played", tool)
		}
	}
	s := shop{dir: t.TempDir()}
	if err := os.CopyFS(s.dir, os.DirFS("../docs/examples/shop")); err != nil {
		t.Fatal(err)
	}
	s.git(t, "init", "--quiet", "--initial-branch=main")
	s.slow = s.commit(t, "the shop")
	s.git(t, "apply", "search.patch")
	s.fast = s.commit(t, "search: the expression is compiled once")
	return s
}

// git runs git in the repository and returns what it printed.
func (s shop) git(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com",
		"GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
	text, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v: %s", args, err, text)
	}
	return strings.TrimSpace(string(text))
}

// commit commits all there is, and returns the commit.
func (s shop) commit(t *testing.T, message string) string {
	t.Helper()
	s.git(t, "add", "--all")
	s.git(t, "commit", "--quiet", "--allow-empty", "--message="+message)
	return s.git(t, "rev-parse", "HEAD")
}

// edit replaces a text of main.go.
func (s shop) edit(t *testing.T, from, to string) {
	t.Helper()
	path := filepath.Join(s.dir, "main.go")
	text, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(text), from) {
		t.Fatalf("%s has no %q (%v)", path, from, err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), from, to, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// clone is a checkout of one commit, without history, as actions/checkout makes it.
func (s shop) clone(t *testing.T) shop {
	t.Helper()
	dir := t.TempDir()
	s.git(t, "clone", "--quiet", "--depth=1", "--no-single-branch", "file://"+s.dir, dir)
	return shop{dir, s.slow, s.fast}
}

// runner is one with the shop checked out, and the program in a folder of all tests.
func (s shop) runner(t *testing.T, event map[string]any, inputs map[string]string) runner {
	return runner{
		workspace: s.dir, temp: t.TempDir(), token: goodToken, api: (&comments{}).serve(t), event: event, inputs: inputs,
	}
}

// TestPlayedShortly: from a fork comes a change of which one block decides nothing,
// which may pass; then two commits that cannot be built, the second of which changes
// the comment of the first.
func TestPlayedShortly(t *testing.T) {
	s := newShop(t)
	s.git(t, "checkout", "--quiet", "-b", "topic")
	s.edit(t, "10 {", "12 {")
	head := s.commit(t, "search: more are found")
	s.git(t, "checkout", "--quiet", "main")
	s.edit(t, "500", "400")
	target := s.commit(t, "the stock is smaller")
	s.git(t, "checkout", "--quiet", "topic")

	var c comments
	c.add("User", "<!-- eventobench gate: eventobench -->\nnot the gate's")
	for range 110 { // so that there are two pages
		c.add("User", "looks good")
	}
	r := s.clone(t).runner(t, pullRequest(t, 7, target), with(short, map[string]string{
		"flags": "--blocks=1\n\n  --rounds=1  \n--slice=10ms\n--warmup=10", "inconclusive": "pass", "metrics": "p99=20%",
	}))
	r.api, r.token = c.serve(t), forkToken
	p := r.play(t)
	p.check(t, 0, "inconclusive")
	p.checkLog(t, "There is no eventobench.yaml", "start: \"{out} -listen={addr}\"", "Comparing "+head+" with "+s.fast,
		"building "+s.fast, `(?m)^::warning title=latency%2C p99 inconclusive::`,
		`There is no comment: the token may not comment.*\(Resource not accessible by integration\)`)
	if ours := c.ours(); ours != nil {
		t.Errorf("comments %q", ours)
	}

	r.workspace, r.token = s.dir, goodToken
	for i, undefined := range []string{"nope", "no"} {
		s.edit(t, "func main() {", "func main() { "+undefined+"();")
		s.commit(t, "broken")
		p = r.play(t)
		p.check(t, 2, "")
		p.checkLog(t, `(?m)^::error title=eventobench gate::eventobench: building \w+: go build .*%0A.*undefined: `+undefined,
			"The comment is at https://github.example/comment/112")
		if !strings.Contains(p.summary, "no verdict") || !strings.Contains(p.summary, "main.go:17:15: undefined: "+undefined) {
			t.Errorf("summary:\n%s", p.summary)
		}
		if ours := c.ours(); len(ours) != 1 || ours[0] != mark+p.summary || c.writes != i+1 {
			t.Errorf("comments %q after %d writes, want one with the error", ours, c.writes)
		}
	}
}

// TestDocumented holds that docs/ci.md tells of every input and output.
func TestDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/ci.md")
	if err != nil {
		t.Fatal(err)
	}
	action := readAction(t)
	names := slices.AppendSeq(slices.Collect(maps.Keys(action.Inputs)), maps.Keys(action.Outputs))
	for _, name := range names {
		if !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("docs/ci.md does not tell of %s", name)
		}
	}
	for _, s := range action.Runs.Steps {
		if s.Uses != "" && !regexp.MustCompile(`^[\w-]+/[\w-]+@[0-9a-f]{40}$`).MatchString(s.Uses) {
			t.Errorf("%s is not pinned", s.Uses)
		}
	}
}

// TestMistakes: what cannot be meant is told, and what to do about it.
func TestMistakes(t *testing.T) {
	s := newShop(t)
	for _, tt := range []struct {
		event  map[string]any
		inputs map[string]string
		want   string
	}{
		{nil, map[string]string{"flags": "blocks=12"}, `the line "blocks=12" of the input "flags" is no flag`},
		{nil, map[string]string{"working-directory": "cmd/ä b"}, `there is no folder "cmd/ä b"`},
		{nil, map[string]string{"base": "$(touch x)"}, `the commit to compare with was not found`},
		{pullRequest(t, 7, strings.Repeat("ab", 20)), nil, `the commit to compare with was not found`},
		{map[string]any{"before": s.fast}, nil, `there is nothing to compare: base and head are both ` + s.fast},
	} {
		r := s.runner(t, tt.event, tt.inputs)
		p := r.play(t)
		if p.code != 2 || p.outputs["exit-code"] != "2" || !strings.Contains(p.summary, tt.want) ||
			!strings.Contains(p.log, "::error title=eventobench gate::") {
			t.Errorf("%v: exit code %d, want %q in\n%s", tt.inputs, p.code, tt.want, p.summary)
		}
	}
	if p := s.runner(t, nil, map[string]string{"name": "../x"}).play(t); p.code != 2 || len(p.uploaded) > 0 {
		t.Errorf("exit code %d, uploaded %v", p.code, p.uploaded)
	}
	if status := s.git(t, "status", "--porcelain"); status != "" {
		t.Errorf("the checkout was changed:\n%s", status)
	}
}

const mark = "<!-- eventobench gate: eventobench -->\n"

// check holds the exit code and the verdict, and that all files are where the
// outputs say.
func (p played) check(t *testing.T, code int, verdict string) {
	t.Helper()
	if p.code != code || p.outputs["verdict"] != verdict {
		t.Errorf("exit code %d, verdict %q, want %d, %q", p.code, p.outputs["verdict"], code, verdict)
	}
	folder := p.outputs["folder"]
	if folder == "" || p.uploaded["eventobench"] != folder {
		t.Errorf("%v is uploaded, want %q", p.uploaded, folder)
	}
	files := []string{"comment.md"}
	if verdict != "" {
		files = append(files, "base", "head", "junit.xml", "report.html", "gate.json", "gate.log")
	}
	for _, name := range files {
		if _, err := os.Stat(filepath.Join(folder, name)); err != nil {
			t.Error(err)
		}
	}
	if text, err := os.ReadFile(p.outputs["comment"]); err != nil || string(text) != p.summary {
		t.Errorf("the comment is not the summary: %v\n%s", err, text)
	}
}

func (p played) checkLog(t *testing.T, patterns ...string) {
	t.Helper()
	for _, pattern := range patterns {
		if !regexp.MustCompile(pattern).MatchString(p.log) {
			t.Errorf("the log does not have %s", pattern)
		}
	}
}

// failures is how many metrics the JUnit file calls failed.
func (p played) failures(t *testing.T) int {
	t.Helper()
	var suite struct {
		Failures int `xml:"failures,attr"`
	}
	text, err := os.ReadFile(filepath.Join(p.outputs["folder"], "junit.xml"))
	if err == nil {
		err = xml.Unmarshal(text, &suite)
	}
	if err != nil {
		t.Error(err)
	}
	return suite.Failures
}

// TestPlayed plays what a pull request may bring. The repository has a
// configuration, which stays in charge of what no input sets.
func TestPlayed(t *testing.T) {
	testlong.Need(t)
	s := newShop(t)
	config := "workload:\n  start: \"{out} -listen={addr}\"\n  workload: visitors.yaml\n  workers: 4\n"
	if err := os.WriteFile(filepath.Join(s.dir, "eventobench.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	inputs := with(short, nil)
	delete(inputs, "workload")
	temp := t.TempDir()

	t.Run("regression", func(t *testing.T) {
		s.git(t, "apply", "--reverse", "search.patch")
		head := s.commit(t, "search: compiled for every item")
		r := s.runner(t, pullRequest(t, 7, s.fast), inputs)
		r.temp = temp
		var c comments
		r.api = c.serve(t)
		p := r.play(t)
		p.check(t, 1, "regressed")
		p.checkLog(t, `(?m)^::error title=allocations regressed::`,
			`(?m)^::warning file=main.go,line=\d+,title=main.\(\*shop\).search grew::.*allocs/op`)
		link := regexp.QuoteMeta("(https://github.example/shop/shop/blob/" + head + "/main.go#L")
		if ours := c.ours(); len(ours) != 1 || !regexp.MustCompile(link+`\d+\)`).MatchString(ours[0]) {
			t.Errorf("comments %q, want one with a link to the line", ours)
		}
		if p.failures(t) != 2 {
			t.Error("JUnit does not tell of two metrics that failed")
		}
		p.again(t, s.dir)
	})
	t.Run("improvement", func(t *testing.T) {
		s.git(t, "checkout", "--quiet", s.fast)
		r := s.runner(t, map[string]any{"before": s.slow}, short) // a push, of a commit without the configuration
		r.temp = temp
		p := r.play(t)
		p.check(t, 0, "improved")
		p.checkLog(t, "There is no comment: this run is of no pull request")
	})
	t.Run("inert change", func(t *testing.T) {
		s.edit(t, "// stock makes", "// Here stock makes")
		s.commit(t, "a comment")
		r := s.runner(t, pullRequest(t, 8, s.fast), with(short, map[string]string{
			"comment": "false", "name": "second", "inconclusive": "pass",
		}))
		r.temp = temp
		p := r.play(t)
		if p.code != 0 || p.outputs["verdict"] == "regressed" || p.uploaded["second"] == "" {
			t.Errorf("exit code %d, %v, uploaded %v", p.code, p.outputs, p.uploaded)
		}
	})
}

// again holds that the command of the comment repeats the gate from the programs;
// one block is enough to see that.
func (p played) again(t *testing.T, checkout string) {
	t.Helper()
	block := regexp.MustCompile("(?s)```sh\n(.*?)\n```").FindStringSubmatch(p.summary)
	if block == nil {
		t.Fatal("the comment has no command")
	}
	for _, name := range []string{"base", "head"} {
		text, err := os.ReadFile(filepath.Join(p.outputs["folder"], name))
		if err == nil {
			err = os.WriteFile(filepath.Join(checkout, name), text, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
		defer os.Remove(filepath.Join(checkout, name))
	}
	program := filepath.Join(p.outputs["folder"], "..", "..", "eventobench-program")
	cmd := exec.CommandContext(t.Context(), "sh", "-c", block[1]+" --blocks=1 --out="+t.TempDir())
	cmd.Dir = checkout
	cmd.Env = append(os.Environ(), "PATH="+program+":"+os.Getenv("PATH"))
	text, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 3 || !strings.Contains(string(text), "\ninconclusive: head against base, 1 block") {
		t.Errorf("%s: %v\n%s", block[1], err, text)
	}
}
