package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/eventobench/eventobench/internal/testlong"
)

// killRounds is how often TestKillUnderLoad kills the server.
func killRounds() int {
	if testlong.On() {
		return 20
	}
	return 3
}

// TestKillUnderLoad kills a server with SIGKILL while writers write, starts it
// again, and holds that every acknowledged message is there once, that streams
// have no gaps, and that the database is sound.
func TestKillUnderLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.db")
	transports := []string{"nethttp", "fasthttp", "fasthttp-adapter"}
	token := "ns_ZGVmYXVsdA_" + strings.Repeat("0", 64)
	acknowledged := map[string]bool{}
	for round := range killRounds() {
		s := startServe(t, "--store=sqlite:"+path, "--token="+token, "--transport="+transports[round%len(transports)])
		checkMessages(t, s, token, acknowledged)
		writeUntilKilled(t, s, token, round, acknowledged)
		checkIntegrity(t, path)
	}
}

// writeUntilKilled has writers write until the server dies, and adds what was
// acknowledged.
func writeUntilKilled(t *testing.T, s *serving, token string, round int, acknowledged map[string]bool) {
	t.Helper()
	const enough = 200 // acknowledged in this round, before it is killed
	var mu sync.Mutex
	count := 0
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("00000000-%04x-4%03x-8000-%012x", round, w, i)
				body := fmt.Sprintf(`["stream.write","s-%d",{"type":"T","data":{}},{"id":%q}]`, (w+i)%5, id)
				if !s.acknowledges(t, token, body) {
					return
				}
				mu.Lock()
				acknowledged[id] = true
				if count++; count == enough {
					_ = s.cmd.Process.Kill() // fails only if it is dead already
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	_ = s.cmd.Wait() // it was killed
}

// acknowledges tells whether a call was answered at all, and well.
func (s *serving) acknowledges(t *testing.T, token, body string) bool {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/rpc?token="+token, strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	var position struct{ Position, GlobalPosition int64 }
	return resp.StatusCode == http.StatusOK && json.NewDecoder(resp.Body).Decode(&position) == nil
}

func checkMessages(t *testing.T, s *serving, token string, acknowledged map[string]bool) {
	t.Helper()
	var rows [][]any
	if err := json.Unmarshal([]byte(s.call(t, token, `["category.get","",{"batchSize":-1}]`)), &rows); err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	next := map[any]float64{}
	for i, row := range rows {
		if found[row[0].(string)]++; row[3] != next[row[1]] || row[4] != float64(i+1) {
			t.Errorf("message %d of stream %v is at %v, %v", i, row[1], row[3], row[4])
		}
		next[row[1]]++
	}
	for id := range acknowledged {
		if found[id] != 1 {
			t.Errorf("message %s was acknowledged and is there %d times", id, found[id])
		}
	}
}

func checkIntegrity(t *testing.T, path string) {
	t.Helper()
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := sqlitex.ExecuteTransient(conn, "PRAGMA integrity_check", &sqlitex.ExecOptions{ResultFunc: func(stmt *sqlite.Stmt) error {
		if text := stmt.ColumnText(0); text != "ok" {
			t.Errorf("integrity check: %s", text)
		}
		return nil
	}}); err != nil {
		t.Error(err)
	}
}
