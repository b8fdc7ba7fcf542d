package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/eventobench/eventobench/server/postgres/cluster"
)

// shared is the cluster of all tests; nil if there are no server programs.
var shared *cluster.Cluster

func TestMain(m *testing.M) {
	os.Exit(runWithCluster(m))
}

func runWithCluster(m *testing.M) (code int) {
	var err error
	shared, err = cluster.Start(context.Background(), cluster.Passing())
	if errors.Is(err, cluster.ErrNotInstalled) {
		return m.Run() // each test is skipped
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		if err := shared.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}()
	return m.Run()
}

// database creates a database for a test.
func database(t testing.TB) (url string) {
	t.Helper()
	if shared == nil {
		t.Skip(cluster.ErrNotInstalled)
	}
	url, err := shared.CreateDatabase(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := shared.DropDatabase(context.Background(), url); err != nil {
			t.Error(err)
		}
	})
	return url
}

// open opens a store until the test ends.
func open(t testing.TB, url string) *Store {
	t.Helper()
	return openWith(t, url, Options{})
}

func openWith(t testing.TB, url string, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
