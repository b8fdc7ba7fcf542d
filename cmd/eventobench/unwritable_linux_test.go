package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// limitFiles sets how large the files of a running server may become: below
// their size, nothing can be written to them.
func (s *serving) limitFiles(t *testing.T, bytes uint64) {
	t.Helper()
	if err := unix.Prlimit(s.cmd.Process.Pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: bytes, Max: unix.RLIM_INFINITY}, nil); err != nil {
		t.Fatal(err)
	}
}

// TestUnwritableFile makes the file of a running server unwritable under load:
// writes are refused, reads go on, and with the file writable again the server
// goes on where it was.
func TestUnwritableFile(t *testing.T) {
	for _, batch := range []string{"on", "off"} {
		t.Run("batch="+batch, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "events.db")
			token := "ns_ZGVmYXVsdA_" + strings.Repeat("0", 64)
			s := startServe(t, "--store=sqlite:"+path, "--token="+token, "--batch="+batch, "--transport=fasthttp", "--log-level=error")
			acknowledged := map[string]bool{}
			write := func(n int, stream string) string {
				id := fmt.Sprintf("00000000-0000-4000-8000-%012x", n)
				answer := s.call(t, token, fmt.Sprintf(`["stream.write",%q,{"type":"T","data":{}},{"id":%q}]`, stream, id))
				if strings.HasPrefix(answer, `{"position":`) {
					acknowledged[id] = true
				}
				return answer
			}
			for n := range 20 {
				write(n, "s-1")
			}
			s.limitFiles(t, 4096)
			calls := []string{
				`["ns.create","other"]`, `["ns.delete","default"]`,
				`["stream.write","s-1",{"type":"T","data":{}}]`, `["stream.write","new-1",{"type":"T","data":{}}]`,
			}
			for range 5 {
				for _, call := range calls {
					if answer := s.call(t, token, call); !strings.HasPrefix(answer, `{"error":{"code":"BACKEND_ERROR","message":"`) || !strings.Contains(answer, "cannot be written") {
						t.Errorf("%s: %s", call, answer)
					}
				}
			}
			if got := s.call(t, token, `["stream.version","s-1"]`); got != "19" {
				t.Errorf("version %s", got)
			}
			if got := s.call(t, token, `["ns.info","default"]`); !strings.Contains(got, `"messageCount":20,"streamCount":1,`) {
				t.Errorf("info %s", got)
			}
			s.limitFiles(t, unix.RLIM_INFINITY)
			for n := range 20 {
				if answer := write(100+n, "s-2"); !strings.HasPrefix(answer, fmt.Sprintf(`{"position":%d,"globalPosition":%d}`, n, 21+n)) {
					t.Errorf("writable again: %s", answer)
				}
			}
			checkMessages(t, s, token, acknowledged)
			s.stop(t)
			checkIntegrity(t, path)
			if left, err := filepath.Glob(path + "-*"); err != nil || len(left) > 0 {
				t.Errorf("files left behind: %v (%v)", left, err)
			}
		})
	}
}
