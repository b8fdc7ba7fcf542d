package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/eventobench/eventobench/server/postgres/cluster"
)

// TestKillUnderLoadPostgres kills one of two servers on a database with SIGKILL
// while writers write, and holds that the other one has every acknowledged message
// once, and that streams have no gaps.
func TestKillUnderLoadPostgres(t *testing.T) {
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
