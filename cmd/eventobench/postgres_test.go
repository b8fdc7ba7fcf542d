package main

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/eventobench/eventobench/internal/testaid"
	"github.com/eventobench/eventobench/server/postgres/cluster"
)

// TestKillUnderLoadPostgres kills one of two servers on a database with SIGKILL
// while writers write, and holds that the other one has every acknowledged message
// once, and that streams have no gaps.
func TestKillUnderLoadPostgres(t *testing.T) {
	c := startCluster(t)
	database, err := c.CreateDatabase(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	token := "ns_ZGVmYXVsdA_" + strings.Repeat("0", 64)
	transports := []string{"nethttp", "fasthttp", "fasthttp-adapter"}
	stays := startServe(t, "--store="+database, "--token="+token)
	acknowledged := map[string]bool{}
	for round := range killRounds() {
		killed := startServe(t, "--store="+database, "--token="+token, "--transport="+transports[round%len(transports)])
		writeUntilKilled(t, killed, token, round, acknowledged)
		checkMessages(t, stays, token, acknowledged)
	}
}

// startCluster starts a cluster until the test ends.
func startCluster(t *testing.T) *cluster.Cluster {
	t.Helper()
	c, err := cluster.Start(t.Context(), cluster.Options{})
	if errors.Is(err, cluster.ErrNotInstalled) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// TestUsersServer holds that a run on a server of the user's drops the databases that
// it made and those that a killed run has left, and touches no others.
func TestUsersServer(t *testing.T) {
	c := startCluster(t)
	users, err := c.CreateDatabase(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	killed, running, next := &usersServer{url: users}, &usersServer{url: users}, &usersServer{url: users}
	for _, u := range []*usersServer{killed, running} {
		if err := u.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := u.Create(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := killed.conn.Close(t.Context()); err != nil {
		t.Error(err)
	}
	testaid.Until(t, "the killed run's database was not dropped", func() bool { // its lock goes a moment after the connection
		if err := next.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		names := databasesOn(t, next)
		if err := next.Stop(); err != nil {
			t.Error(err)
		}
		return !slices.Contains(names, killed.made[0]) && slices.Contains(names, running.made[0])
	})
	var wg sync.WaitGroup // subjects start and end at the same time
	for range 4 {
		wg.Go(func() {
			made, err := running.Create(t.Context())
			if err != nil {
				t.Error(err)
			}
			running.Drop(made)
		})
	}
	wg.Wait()
	if len(running.made) != 1 {
		t.Errorf("left to drop: %v", running.made)
	}
	if err := running.Stop(); err != nil {
		t.Error(err)
	}
	if err := next.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if names := databasesOn(t, next); slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, madeHere) }) ||
		!slices.Contains(names, "eventobench_1") {
		t.Errorf("databases afterwards: %v", names)
	}
	if err := next.Stop(); err != nil {
		t.Error(err)
	}
}

func databasesOn(t *testing.T, u *usersServer) []string {
	t.Helper()
	rows, err := u.conn.Query(t.Context(), "SELECT datname FROM pg_database")
	if err != nil {
		t.Fatal(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Error(err)
	}
	return names
}

// TestStoreName holds that a log shows no password.
func TestStoreName(t *testing.T) {
	for store, want := range map[string]string{
		"sqlite:a.db":                     "sqlite:a.db",
		"postgres://u:secret@h/d":         "postgres://u:xxxxx@h/d",
		"postgresql://h/d?password=s&x=y": "postgresql://h/d?x=y",
		"postgres://u:se%cret@h/d":        "postgres",
	} {
		if got := storeName(store); got != want {
			t.Errorf("%s is shown as %s, want %s", store, got, want)
		}
	}
}
