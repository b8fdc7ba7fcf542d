package sqlite

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/uuid"

	"github.com/eventobench/eventobench/server"
)

// TestFullDisk fills a small disk: every write is either acknowledged and there,
// or refused and not there, and the store goes on once there is room.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=600k"); err != nil {
		t.Skipf("mounting a small tmpfs needs root: %v", err)
	}
	defer func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	}()
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 200<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, filepath.Join(dir, "events.db"), Options{})
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := s.CreateNamespace(t.Context(), server.Namespace{Name: "one"}); err != nil {
		t.Fatal(err)
	}
	acknowledged := fillDisk(t, s)
	checkExactly(t, s, acknowledged)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		m := message("after-1")
		if _, err := s.Write(t.Context(), "one", m, nil); err != nil {
			t.Errorf("with room again: %v", err)
		}
		acknowledged[m.ID] = true
	}
	checkExactly(t, s, acknowledged)
}

// TestReadOnlyDisk opens a store where nothing can be written: it is refused,
// and can be used once the disk can be written.
func TestReadOnlyDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"); err != nil {
		t.Skipf("mounting a tmpfs needs root: %v", err)
	}
	defer func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	}()
	path := filepath.Join(dir, "events.db")
	if err := open(t, path, Options{}).Close(); err != nil {
		t.Fatal(err)
	}
	remount := func(flags uintptr) {
		t.Helper()
		if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT|flags, "size=4m"); err != nil {
			t.Fatal(err)
		}
	}
	remount(syscall.MS_RDONLY)
	const want = "unable to open database file"
	if s, err := Open(path, Options{}); err == nil || !strings.Contains(err.Error(), path+": ") || !strings.Contains(err.Error(), want) {
		t.Errorf("opened %v on a read-only disk (%v), want %s", s, err, want)
	}
	remount(0)
	s := open(t, path, Options{})
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := s.CreateNamespace(t.Context(), server.Namespace{Name: "one"}); err != nil {
		t.Error(err)
	}
	if _, err := s.Write(t.Context(), "one", message("a-1"), nil); err != nil {
		t.Error(err)
	}
}

// fillDisk has several writers write until each is refused, and returns what
// was acknowledged.
func fillDisk(t *testing.T, s *Store) map[uuid.UUID]bool {
	t.Helper()
	var mu sync.Mutex
	acknowledged := map[uuid.UUID]bool{}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 10_000 {
				m := message(fmt.Sprintf("a-%d", (w+i)%50))
				m.Data = []byte(`{"x":"` + strings.Repeat("x", 500) + `"}`)
				if _, err := s.Write(t.Context(), "one", m, nil); err != nil {
					return
				}
				mu.Lock()
				acknowledged[m.ID] = true
				mu.Unlock()
			}
			t.Error("the disk never became full")
		})
	}
	wg.Wait()
	return acknowledged
}

func checkExactly(t *testing.T, s *Store, want map[uuid.UUID]bool) {
	t.Helper()
	found := 0
	next := map[string]int64{}
	if err := s.Read(t.Context(), "one", server.Query{Limit: -1}, func(m *server.Message) error {
		if found++; !want[m.ID] || m.Position.Position != next[string(m.Stream)] {
			t.Errorf("message %s at %s %+v was refused, or its position leaves a gap", m.ID, m.Stream, m.Position)
		}
		next[string(m.Stream)]++
		return nil
	}); err != nil {
		t.Error(err)
	}
	if found != len(want) {
		t.Errorf("%d messages are there, %d were acknowledged", found, len(want))
	}
}
