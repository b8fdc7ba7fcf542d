package transport

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/eventobench/eventobench/internal/testlong"
	"github.com/eventobench/eventobench/server"
	"github.com/eventobench/eventobench/server/postgres"
	"github.com/eventobench/eventobench/server/postgres/cluster"
	"github.com/eventobench/eventobench/server/sqlite"
)

// The places where the suites keep stores.
const (
	inMemory   = "memory"
	inFile     = "file"
	inPostgres = "postgres"
)

// clusterOfTests starts the cluster of all tests when the first one needs it.
var clusterOfTests = sync.OnceValues(func() (*cluster.Cluster, error) {
	return cluster.Start(context.Background(), cluster.Passing())
})

func TestMain(m *testing.M) {
	code := m.Run()
	if c, _ := clusterOfTests(); c != nil {
		if err := c.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// openAt opens a new store until the test ends, or skips the test if there is no
// PostgreSQL to keep it in.
func openAt(t *testing.T, where string) server.Store {
	t.Helper()
	switch where {
	case inMemory:
		return openStore(t, sqlite.Memory)
	case inFile:
		return openStore(t, filepath.Join(t.TempDir(), "events.db"))
	}
	c, err := clusterOfTests()
	if errors.Is(err, cluster.ErrNotInstalled) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	url, err := c.CreateDatabase(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	db, err := postgres.Open(t.Context(), url, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(db.Close(), c.DropDatabase(context.Background(), url)); err != nil {
			t.Error(err)
		}
	})
	return db
}

// onPostgres reports whether the n-th case of a test runs on PostgreSQL: every case
// where long tests run, else one of nine, another one in each test.
func onPostgres(t *testing.T, n int) bool {
	if testlong.On() {
		return true
	}
	h := fnv.New32()
	_, _ = h.Write([]byte(t.Name()))
	return n == int(h.Sum32()%9)
}
