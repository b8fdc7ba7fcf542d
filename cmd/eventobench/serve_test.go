package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// serving is a store, or pages, in a process of their own.
type serving struct {
	cmd   *exec.Cmd
	url   string
	lines *bufio.Reader // what it prints on stdout after the address
}

func startServe(t *testing.T, args ...string) *serving {
	t.Helper()
	return startListening(t, exec.CommandContext(t.Context(), "eventobench", append([]string{"serve", "--addr=127.0.0.1:0"}, args...)...))
}

// startListening starts a program whose first line says where it listens.
func startListening(t *testing.T, cmd *exec.Cmd) *serving {
	t.Helper()
	s := &serving{cmd: cmd}
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.lines = bufio.NewReader(stdout)
	first := s.line(t)
	url, ok := strings.CutPrefix(first, "listening on ")
	if !ok {
		t.Fatalf("the first line is %q", first)
	}
	s.url = url
	return s
}

func (s *serving) line(t *testing.T) string {
	t.Helper()
	line, err := s.lines.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(line, "\n")
}

// stop sends SIGTERM, wants exit code 0, and returns what else was printed.
func (s *serving) stop(t *testing.T) string {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(s.lines)
	if err != nil {
		t.Error(err)
	}
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
	return string(rest)
}

func (s *serving) call(t *testing.T, token, body string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/rpc", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

// TestServeKeepsTheToken writes into a file with the token that was drawn, and
// reads it with the same token after a restart, which draws none.
func TestServeKeepsTheToken(t *testing.T) {
	for _, transport := range []string{"nethttp", "fasthttp", "fasthttp-adapter"} {
		t.Run(transport, func(t *testing.T) {
			store := "--store=sqlite:" + filepath.Join(t.TempDir(), "events.db")
			s := startServe(t, store, "--transport="+transport)
			_, token, _ := strings.Cut(s.line(t), "shown this once: ")
			if got := s.call(t, token, `["stream.write","a-1",{"type":"T","data":{"n":1}}]`); got != `{"position":0,"globalPosition":1}` {
				t.Errorf("write: %s", got)
			}
			if got := s.call(t, "", `["stream.version","a-1"]`); !strings.Contains(got, "AUTH_REQUIRED") {
				t.Errorf("without a token: %s", got)
			}
			s.stop(t)
			s = startServe(t, store, "--transport="+transport)
			if got := s.call(t, token, `["stream.version","a-1"]`); got != "0" {
				t.Errorf("version after a restart: %s", got)
			}
			if more := s.stop(t); more != "" {
				t.Errorf("a restart printed %q", more)
			}
		})
	}
}

// TestRestartWithToken restarts a store with the token it has, which works, and
// with another one, which is refused with what to do.
func TestRestartWithToken(t *testing.T) {
	store := "--store=sqlite:" + filepath.Join(t.TempDir(), "events.db")
	token, other := "ns_ZGVmYXVsdA_"+strings.Repeat("1", 64), "ns_ZGVmYXVsdA_"+strings.Repeat("2", 64)
	for range 2 {
		s := startServe(t, store, "--token="+token)
		if got := s.call(t, token, `["stream.version","a-1"]`); got != "null" {
			t.Errorf("with its token: %s", got)
		}
		if more := s.stop(t); more != "" {
			t.Errorf("with a token given, it printed %q", more)
		}
	}
	text, err := exec.CommandContext(t.Context(), "eventobench", "serve", "--addr=127.0.0.1:0", store, "--token="+other).CombinedOutput()
	if err == nil || !strings.Contains(string(text), "start without --token to keep that one") {
		t.Errorf("with another token: %s (%v)", text, err)
	}
}

func TestPortInUse(t *testing.T) {
	s := startServe(t)
	addr := strings.TrimPrefix(s.url, "http://")
	text, _ := exec.CommandContext(t.Context(), "eventobench", "serve", "--addr="+addr).CombinedOutput()
	if want := "eventobench: listening on " + addr + ": the port is in use; "; !strings.HasPrefix(string(text), want) || strings.Count(string(text), "\n") != 1 {
		t.Errorf("it says %q, want %q…", text, want)
	}

	// Its token is still to be shown: a new store that could not be served is as good as new.
	file := "sqlite:" + filepath.Join(t.TempDir(), "events.db")
	_, _ = exec.CommandContext(t.Context(), "eventobench", "serve", "--addr="+addr, "--store="+file).CombinedOutput()
	s.stop(t)
	again := startServe(t, "--store="+file)
	if line := again.line(t); !strings.HasPrefix(line, "token of namespace default, shown this once: ns_") {
		t.Errorf("it says %q", line)
	}
	again.stop(t)
}

// debugPage reads one of Go's own pages of a store.
func (s *serving) debugPage(t *testing.T, page string) string {
	t.Helper()
	resp, err := http.Get(s.url + "/debug/" + page)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s (%v)", page, resp.Status, err)
	}
	return string(text)
}

// TestContentionProfiles asks a store with and without the rates for its
// profiles, after writes that wait for each other's commits.
func TestContentionProfiles(t *testing.T) {
	for _, on := range []bool{true, false} {
		args := []string{"--test-mode", "--store=sqlite:" + filepath.Join(t.TempDir(), "events.db")}
		fraction := 0
		if on {
			args = append(args, "--mutex-profile-fraction=1", "--block-profile-rate=1")
			fraction = 1
		}
		s := startServe(t, args...)
		for range 10 {
			s.call(t, "", `["stream.write","a-1",{"type":"T","data":{}}]`)
		}
		mutex, block := s.debugPage(t, "pprof/mutex?debug=1"), s.debugPage(t, "pprof/block?debug=1")
		if want := fmt.Sprintf("sampling period=%d\n", fraction); !strings.Contains(mutex, want) {
			t.Errorf("on=%v: the mutex profile is %.200s", on, mutex)
		}
		if sampled := strings.Contains(block, "(*batcher).do"); sampled != on {
			t.Errorf("on=%v: the block profile is %.2000s", on, block)
		}
		s.stop(t)
	}
}
