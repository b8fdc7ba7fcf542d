package server_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/eventobench/eventobench/internal/testaid"
	"github.com/eventobench/eventobench/server"
)

// readCounter counts the messages that are read of a store.
type readCounter struct {
	server.Store
	read atomic.Int64
}

func (c *readCounter) Read(ctx context.Context, namespace string, q server.Query, yield func(*server.Message) error) error {
	return c.Store.Read(ctx, namespace, q, func(m *server.Message) error {
		c.read.Add(1)
		return yield(m)
	})
}

// TestOtherMembersAreReadOnce holds that a subscription of a group does not read the messages
// of other members again with every write.
func TestOtherMembersAreReadOnce(t *testing.T) {
	store := &readCounter{Store: openMemory(t)}
	core := newCoreOn(t, store, server.Options{Codec: server.CodecRaw})
	write := func() {
		callWhole(t, core, []byte(`["stream.write","a-2",{"type":"T","data":{}}]`))
	}
	const written, more = 1500, 20 // the first are more than a page
	for range written {
		write()
	}
	params := map[string]string{"category": "a", "consumer": "0", "size": "2"}
	if (server.Group{Member: 0, Size: 2}).Has("a-2") {
		params["consumer"] = "1"
	}
	sub, err := core.Subscribe(t.Context(), cred, func(name string) string { return params[name] })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	counter := &pokeCounter{left: 1, end: cancel}
	go func() { ended <- sub.Run(ctx, counter) }()
	for n := range more + 1 {
		want := int64(written + n)
		testaid.Until(t, fmt.Sprintf("%d messages are not read", want), func() bool { return store.read.Load() >= want })
		write()
	}
	cancel()
	if err := <-ended; err != nil || counter.left != 1 {
		t.Errorf("%d pokes (%v)", 1-counter.left, err)
	}
	if got := store.read.Load(); got > written+more+1 {
		t.Errorf("%d messages are read, of %d", got, written+more+1)
	}
}
