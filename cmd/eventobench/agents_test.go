package main

import (
	"testing"

	"github.com/eventobench/eventobench/loadgen/agent"
)

// TestJoinLine holds that what is printed can be copied to another machine.
func TestJoinLine(t *testing.T) {
	for url, want := range map[string]string{
		"nats://0.0.0.0:4222": "eventobench agent --nats=nats://THIS_HOST:4222 --allow=HOST:PORT",
		"tls://[::]:4222":     "eventobench agent --nats=tls://THIS_HOST:4222 --allow=HOST:PORT",
		"nats://10.0.0.1:1":   "eventobench agent --nats=nats://10.0.0.1:1 --allow=HOST:PORT",
		"10.0.0.1:4222":       "eventobench agent --nats=10.0.0.1:4222 --allow=HOST:PORT",
		"nats.example.com":    "eventobench agent --nats=nats.example.com --allow=HOST:PORT",
	} {
		if got := joinLine(agent.Login{URL: url}); got != want {
			t.Errorf("%s: %s, want %s", url, got, want)
		}
	}
}
