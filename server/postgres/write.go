package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/eventobench/eventobench/server"
)

const callWrite = "SELECT outcome, pos, gpos FROM eventobench.write($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"

// write is a message on its way into a stream.
type write struct {
	namespace string
	args      []any  // of callWrite
	expected  *int64 // version of the stream
	message   server.NewMessage

	done     chan struct{} // closed once the two below are final
	position server.Position
	err      error
}

// Write appends a message to its stream, in one round trip. Once it is on its
// way it does not give up with the caller: what is acknowledged must be known to
// be there.
func (s *Store) Write(ctx context.Context, name string, m server.NewMessage, expected *int64) (server.Position, error) {
	if err := s.begin(); err != nil {
		return server.Position{}, err
	}
	defer s.running.Done()
	w := &write{namespace: name, expected: expected, message: m, args: []any{
		s.id, []byte(name), callerHash(ctx, name), expected, [16]byte(m.ID), []byte(m.Stream),
		[]byte(server.Category(m.Stream)), []byte(m.Type), m.Data, m.Metadata, m.Time.UnixNano(),
	}}
	if s.batch != nil {
		s.batch.do(w)
	} else {
		s.writeAlone(w)
	}
	return w.position, w.err
}

// writeAlone executes a write in a transaction of its own.
func (s *Store) writeAlone(w *write) {
	w.takeAnswer(s.pool.QueryRow(context.Background(), callWrite, w.args...))
}

// takeAnswer reads what the database says to a write.
func (w *write) takeAnswer(row pgx.Row) {
	var outcome string
	var pos, gpos *int64
	w.position, w.err = server.Position{}, nil
	if err := row.Scan(&outcome, &pos, &gpos); err != nil {
		w.err = fmt.Errorf("writing a message: %w", err)
		return
	}
	switch outcome {
	case "written":
		w.position = server.Position{Position: *pos, GlobalPosition: *gpos}
	case "namespace":
		w.err = server.NamespaceNotFound(w.namespace)
	case "version":
		w.err = server.VersionConflict(*w.expected, *pos)
	case "id":
		w.err = server.MessageExists(w.message.ID)
	case "positions":
		w.err = server.PositionsUsedUp()
	default:
		w.err = fmt.Errorf("writing a message: the database answered %q", outcome)
	}
}
