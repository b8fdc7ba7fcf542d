package postgres

import (
	"context"
	"encoding/hex"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/eventobench/eventobench/server"
)

// backoff is how long the store waits between two attempts to connect again.
const backoff = 250 * time.Millisecond

// Watch tells w what other servers change, until the store is closed. Changes
// are sent by the transactions that make them: none is lost, and none is told of
// before it can be read. PostgreSQL serializes the commits of such transactions,
// which costs nothing within a namespace, where writers take turns anyway.
func (s *Store) Watch(ctx context.Context, w server.Watcher) error {
	conn, err := s.listen(ctx)
	if err != nil {
		return err
	}
	if err := s.begin(); err != nil {
		_ = conn.Close(ctx) // its error says less
		return err
	}
	go func() {
		defer s.running.Done()
		s.watch(conn, w)
	}()
	return nil
}

// listen opens a connection that receives notifications.
func (s *Store) listen(ctx context.Context) (*pgx.Conn, error) {
	conn, err := pgx.ConnectConfig(ctx, s.pool.Config().ConnConfig)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, "LISTEN eventobench"); err != nil {
		_ = conn.Close(ctx) // its error says less
		return nil, err
	}
	return conn, nil
}

// watch tells of changes, on one connection after the other.
func (s *Store) watch(conn *pgx.Conn, w server.Watcher) {
	for {
		err := s.receive(conn, w)
		_ = conn.Close(context.Background()) // it is broken, or of no use any more
		if s.ctx.Err() != nil {
			return
		}
		slog.Warn("the connection that tells of other servers' changes broke", "error", err)
		if conn = s.listenAgain(); conn == nil {
			return
		}
		w.Lost()
	}
}

// receive tells of changes until the connection breaks or the store is closed.
func (s *Store) receive(conn *pgx.Conn, w server.Watcher) error {
	for {
		n, err := conn.WaitForNotification(s.ctx)
		if err != nil {
			return err
		}
		s.tell(n.Payload, w)
	}
}

// listenAgain returns a new connection, or nil when the store is closed.
func (s *Store) listenAgain() *pgx.Conn {
	for {
		conn, err := s.listen(s.ctx)
		if err == nil {
			return conn
		}
		select {
		case <-time.After(backoff):
		case <-s.ctx.Done():
			return nil
		}
	}
}

// tell tells of a change that another server has made: its number, the kind of
// change, the namespace and what else there is to it, as notify puts them.
func (s *Store) tell(payload string, w server.Watcher) {
	of, rest, _ := strings.Cut(payload, " ")
	if of == strconv.FormatInt(s.id, 10) {
		return
	}
	kind, rest, _ := strings.Cut(rest, " ")
	name, detail, _ := strings.Cut(rest, " ")
	namespace, err := hex.DecodeString(name)
	if err != nil {
		w.Lost()
		return
	}
	switch kind {
	case "written":
		stream, _ := hex.DecodeString(detail) // what cannot be read wakes more than need be
		w.Written(string(namespace), string(stream))
	case "deleted":
		w.Deleted(string(namespace))
	default:
		w.Lost()
	}
}
