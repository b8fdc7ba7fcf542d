package sqlite

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/eventobench/eventobench/server"
)

// maxBatch is the most writes that share a commit.
const maxBatch = 256

// write is a message on its way into a stream.
type write struct {
	namespace string
	message   server.NewMessage
	expected  *int64

	done     chan struct{} // gets a value once the two below are final
	position server.Position
	err      error
}

var writes = sync.Pool{New: func() any { return &write{done: make(chan struct{}, 1)} }}

// batcher lets writes that wait at the same time share a commit, and with it
// the one thing that is slow about it: waiting for the disk.
type batcher struct {
	batch []*write      // that is being written
	ended chan struct{} // is closed when the last one was

	mu      sync.Mutex
	waiting []*write
	some    chan struct{} // has a value if something waits that nobody looks after
	closed  bool
}

var errClosed = errors.New("the store is closed")

func startBatcher(s *Store) *batcher {
	b := &batcher{some: make(chan struct{}, 1), ended: make(chan struct{})}
	go func() {
		defer close(b.ended)
		for range b.some {
			for b.gather() {
				s.commit(b.batch)
			}
		}
	}()
	return b
}

// gather takes what waits, if anything does. Whoever can go on does so first, if there
// are more of them than CPUs: so many bring further writes, and nobody would commit these
// sooner with the CPUs busy.
func (b *batcher) gather() bool {
	runtime.Gosched()
	b.mu.Lock()
	defer b.mu.Unlock()
	n := min(len(b.waiting), maxBatch)
	b.batch = append(b.batch[:0], b.waiting[:n]...)
	b.waiting = slices.Delete(b.waiting, 0, n)
	return n > 0
}

// do waits until the write is on disk or has failed. It does not give up with
// the caller: what is acknowledged must be known to be there.
func (b *batcher) do(namespace string, m server.NewMessage, expected *int64) (server.Position, error) {
	w := writes.Get().(*write)
	*w = write{namespace: namespace, message: m, expected: expected, done: w.done}
	if !b.add(w) {
		return server.Position{}, errClosed
	}
	<-w.done
	p, err := w.position, w.err
	*w = write{done: w.done} // what it points to is the caller's
	writes.Put(w)
	return p, err
}

// add has a write wait for the next batch, unless there will be none.
func (b *batcher) add(w *write) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	b.waiting = append(b.waiting, w)
	select {
	case b.some <- struct{}{}:
	default:
	}
	return true
}

// close waits until all that was added is written.
func (b *batcher) close() {
	b.mu.Lock()
	b.closed = true
	close(b.some)
	b.mu.Unlock()
	<-b.ended
}

// commit writes a batch in one transaction. A write that is refused leaves the
// others alone; a commit that fails fails all of them.
func (s *Store) commit(batch []*write) {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.transact(func() error {
		for _, w := range batch {
			w.position, w.err = s.apply(w)
			// A full disk, for one, makes SQLite roll back by itself.
			if s.writer.AutocommitEnabled() || errors.Is(w.err, errNotUndone) {
				return fmt.Errorf("the transaction was rolled back: %w", w.err)
			}
		}
		return nil
	})
	if err != nil {
		s.forgetStreams()
	}
	for _, w := range batch {
		if w.err == nil && err != nil {
			w.err = fmt.Errorf("committing a write: %w", err)
		}
		w.done <- struct{}{}
	}
}

// forgetStreams drops all that was remembered of streams: a failed commit may have
// undone it.
func (s *Store) forgetStreams() {
	s.nsMu.RLock()
	defer s.nsMu.RUnlock()
	for _, ns := range s.byName {
		clear(ns.streams)
		clear(ns.categories)
	}
}
