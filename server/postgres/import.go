package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5"

	"github.com/eventobench/eventobench/server"
)

// Import adds records at the places they had, all or none.
func (s *Store) Import(ctx context.Context, name string, records []server.Record) error {
	if err := s.check(); err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		ns, err := s.lock(ctx, tx, name)
		if err != nil {
			return err
		}
		var added counts
		if err := added.importInto(ctx, tx, ns.epoch, records); err != nil {
			return err
		}
		batch := &pgx.Batch{}
		batch.Queue("UPDATE eventobench.namespace "+
			"SET gpos = greatest(gpos, $2), messages = messages + $3, streams = streams + $4 WHERE id = $1",
			ns.id, added.last, added.messages, added.streams)
		batch.Queue("SELECT eventobench.notify($1, 'written', $2, '')", s.id, []byte(name))
		return tx.SendBatch(ctx, batch).Close()
	})
}

// locked is a namespace whose row is locked: until the end of the transaction
// nobody else adds messages to it.
type locked struct{ id, epoch int64 }

func (s *Store) lock(ctx context.Context, tx pgx.Tx, name string) (ns locked, err error) {
	err = tx.QueryRow(ctx, "SELECT n.id, n.epoch FROM eventobench.namespace n "+ofNamespace+" FOR NO KEY UPDATE",
		[]byte(name), callerHash(ctx, name)).Scan(&ns.id, &ns.epoch)
	if errors.Is(err, pgx.ErrNoRows) {
		return ns, server.NamespaceNotFound(name)
	}
	return ns, err
}

// counts are what an import adds to a namespace.
type counts struct {
	messages, streams int64
	last              int64 // the highest global position
}

// importInto adds records to an epoch, and to the counts.
func (c *counts) importInto(ctx context.Context, tx pgx.Tx, epoch int64, records []server.Record) error {
	n := len(records)
	if n == 0 {
		return nil
	}
	streams, categories, types := make([][]byte, n), make([][]byte, n), make([][]byte, n)
	data, metadata := make([][]byte, n), make([][]byte, n)
	positions, globals, times := make([]int64, n), make([]int64, n), make([]int64, n)
	ids := make([][16]byte, n)
	for i, r := range records {
		streams[i], categories[i], types[i] = []byte(r.Stream), []byte(server.Category(r.Stream)), []byte(r.Type)
		data[i], metadata[i], ids[i] = r.Data, r.Metadata, r.ID
		positions[i], globals[i], times[i] = r.Position.Position, r.GlobalPosition, r.Time.UnixNano()
		c.last = max(c.last, r.GlobalPosition)
	}
	var created int64
	var addedGlobals []int64
	var addedIDs [][16]byte
	const call = "SELECT created, gpositions, ids FROM eventobench.import($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
	err := tx.QueryRow(ctx, call, epoch, streams, categories, types, positions, globals, ids, data, metadata, times).
		Scan(&created, &addedGlobals, &addedIDs)
	if err != nil {
		return fmt.Errorf("importing messages: %w", err)
	}
	if addedIDs != nil {
		return firstRefused(records, addedGlobals, addedIDs)
	}
	c.messages += int64(n)
	c.streams += created
	return nil
}

// firstRefused is the error of the first record that is not among those that were
// added, which are in the same order.
func firstRefused(records []server.Record, globals []int64, ids [][16]byte) error {
	i := 0
	for i < len(ids) && records[i].GlobalPosition == globals[i] && records[i].ID == ids[i] {
		i++
	}
	return taken(i, records[i])
}

// taken is the error of the record whose place or id is taken.
func taken(i int, r server.Record) error {
	return &server.RecordError{Index: i, Err: &server.Error{
		Code: server.CodePositionExists,
		Message: fmt.Sprintf("Message id %s, global position %d, or position %d of stream %q is taken",
			r.ID, r.GlobalPosition, r.Position.Position, r.Stream),
	}}
}

// Replace collects the records under a new epoch in one transaction, which gives
// that epoch to the namespace at its end. It has a connection of its own: next
// waits for a client, and the pool is for calls that do not. Nor does Close wait for
// a client: it waits from the end of the records on.
func (s *Store) Replace(ctx context.Context, name string, next func() ([]server.Record, error)) (err error) {
	if err := s.check(); err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, s.pool.Config().ConnConfig)
	if err != nil {
		return fmt.Errorf("replacing the messages of namespace %q: %w", name, err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	tx, err := conn.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // does nothing after Commit
	var epoch int64
	if err := tx.QueryRow(ctx, "SELECT nextval('eventobench.epochs')").Scan(&epoch); err != nil {
		return err
	}
	all, err := s.fill(ctx, tx, epoch, next)
	if err != nil {
		return err
	}
	if err := s.begin(); err != nil {
		return err
	}
	defer s.running.Done()
	if err := s.exchange(ctx, tx, name, epoch, all); err != nil {
		return err
	}
	return tx.Commit(ctx)
}

// fill adds what next returns to an epoch, until the store is closed.
func (s *Store) fill(
	ctx context.Context, tx pgx.Tx, epoch int64, next func() ([]server.Record, error),
) (all counts, err error) {
	for {
		batch, err := next()
		if err == io.EOF {
			return all, nil
		}
		if err == nil {
			err = s.check()
		}
		if err == nil {
			err = all.importInto(ctx, tx, epoch, batch)
		}
		if err != nil {
			return all, err
		}
	}
}

// exchange gives a namespace another epoch and retires the one it had.
func (s *Store) exchange(ctx context.Context, tx pgx.Tx, name string, epoch int64, all counts) error {
	ns, err := s.lock(ctx, tx, name)
	if err != nil {
		return err
	}
	batch := &pgx.Batch{}
	batch.Queue("UPDATE eventobench.namespace "+
		"SET epoch = $2, gpos = $3, replaced = $4, messages = $5, streams = $6 WHERE id = $1",
		ns.id, epoch, all.last, all.last+1, all.messages, all.streams)
	batch.Queue("INSERT INTO eventobench.retired (epoch) VALUES ($1)", ns.epoch)
	batch.Queue("SELECT eventobench.notify($1, 'written', $2, '')", s.id, []byte(name))
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("replacing the messages of namespace %q: %w", name, err)
	}
	return nil
}
