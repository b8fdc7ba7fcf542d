package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// maxBatch is the most writes that share a transaction. It is small because every
// write of a transaction walks past the versions of the namespace's row that
// those before have left.
const maxBatch = 64

// batcher lets writes to a namespace that wait at the same time share a
// transaction, and with it what is slow about one: waiting for the disk while
// the namespace is locked. A write that comes alone waits for no other. Each
// namespace has at most one batch on its way, so that none waits in a
// transaction for the lock of another.
type batcher struct {
	store *Store

	mu      sync.Mutex
	waiting map[string][]*write // by namespace; there while a batch of it is on its way
}

func newBatcher(s *Store) *batcher { return &batcher{store: s, waiting: map[string][]*write{}} }

// do waits until the write is committed or has failed.
func (b *batcher) do(w *write) {
	w.done = make(chan struct{})
	b.mu.Lock()
	_, busy := b.waiting[w.namespace]
	b.waiting[w.namespace] = append(b.waiting[w.namespace], w)
	b.mu.Unlock()
	if !busy {
		go b.drain(w.namespace)
	}
	<-w.done
}

// drain writes what waits, batch after batch, until nothing does.
func (b *batcher) drain(namespace string) {
	for batch := b.take(namespace); len(batch) > 0; batch = b.take(namespace) {
		b.store.writeTogether(batch)
		for _, w := range batch {
			close(w.done)
		}
	}
}

// take takes the next batch. If there is none, the namespace is not busy any more.
func (b *batcher) take(namespace string) []*write {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.waiting[namespace]
	if len(all) == 0 {
		delete(b.waiting, namespace)
		return nil
	}
	n := min(len(all), maxBatch)
	b.waiting[namespace] = all[n:]
	return all[:n]
}

// writeTogether executes writes in one transaction. One that is refused leaves
// the others alone. If the database fails one, which undoes all, each gets a
// transaction of its own.
func (s *Store) writeTogether(batch []*write) {
	if len(batch) == 1 {
		s.writeAlone(batch[0])
		return
	}
	err := s.pipeline(batch)
	var failed *pgconn.PgError
	switch {
	case errors.As(err, &failed) && failed.SeverityUnlocalized == "ERROR": // of which the connection survives
		for _, w := range batch {
			s.writeAlone(w)
		}
	case err != nil:
		for _, w := range batch {
			w.err = fmt.Errorf("writing a message: %w", err)
		}
	}
}

// pipeline sends writes in one round trip, which PostgreSQL makes one transaction.
// Their answers hold if it was committed, which is without an error.
func (s *Store) pipeline(batch []*write) error {
	var calls pgx.Batch
	for _, w := range batch {
		calls.Queue(callWrite, w.args...)
	}
	results := s.pool.SendBatch(context.Background(), &calls)
	for _, w := range batch {
		w.takeAnswer(results.QueryRow())
	}
	return results.Close()
}
