package sqlite

import (
	"errors"
	"fmt"
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
	queue   chan *write
	batch   []*write // that is being written
	closing chan struct{}
	ended   chan struct{}
}

var errClosed = errors.New("the store is closed")

func startBatcher(s *Store) *batcher {
	b := &batcher{queue: make(chan *write), closing: make(chan struct{}), ended: make(chan struct{})}
	go func() {
		defer close(b.ended)
		for {
			select {
			case first := <-b.queue:
				s.commit(b.gather(first))
			case <-b.closing:
				return
			}
		}
	}()
	return b
}

// gather takes what waits behind the first write.
func (b *batcher) gather(first *write) []*write {
	b.batch = append(b.batch[:0], first)
	for len(b.batch) < maxBatch {
		select {
		case w := <-b.queue:
			b.batch = append(b.batch, w)
		default:
			return b.batch
		}
	}
	return b.batch
}

// do waits until the write is on disk or has failed. It does not give up with
// the caller: what is acknowledged must be known to be there.
func (b *batcher) do(namespace string, m server.NewMessage, expected *int64) (server.Position, error) {
	w := writes.Get().(*write)
	*w = write{namespace: namespace, message: m, expected: expected, done: w.done}
	select {
	case b.queue <- w:
		<-w.done
	case <-b.closing:
		w.err = errClosed
	}
	p, err := w.position, w.err
	*w = write{done: w.done} // what it points to is the caller's
	writes.Put(w)
	return p, err
}

func (b *batcher) close() {
	close(b.closing)
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
