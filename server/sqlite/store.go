// Package sqlite keeps the event store's messages in SQLite, in memory or in a
// file.
package sqlite

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/eventobench/eventobench/server"
)

// Memory is the path of a store that lives in memory.
const Memory = ":memory:"

// Store is a server.Store over one SQLite database. One connection writes; a
// store in a file has others that read, beside the writer, through the
// write-ahead log.
type Store struct {
	mu     sync.Mutex // guards writer and, through it, all changes
	writer *sqlite.Conn
	pool   *sqlitex.Pool // nil in memory, where the writer reads too

	spaces sync.RWMutex // guards byName
	byName map[string]*namespace
}

var _ server.Store = (*Store)(nil)

// Open opens or creates the store at path, which is a file or Memory.
func Open(path string) (*Store, error) {
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite|sqlite.OpenCreate)
	if err != nil {
		return nil, fmt.Errorf("opening the SQLite store %s: %w", path, err)
	}
	s := &Store{writer: conn, byName: map[string]*namespace{}}
	if err := s.prepare(path); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the SQLite store %s: %w", path, err), s.Close())
	}
	return s, nil
}

func (s *Store) prepare(path string) error {
	if path != Memory {
		// WAL lets readers go on beside the writer; FULL syncs the log at every
		// commit, so that what was acknowledged survives a crash.
		for _, pragma := range []string{"PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL"} {
			if err := sqlitex.ExecuteTransient(s.writer, pragma, nil); err != nil {
				return err
			}
		}
		var err error
		if s.pool, err = sqlitex.NewPool(path, sqlitex.PoolOptions{Flags: sqlite.OpenReadOnly}); err != nil {
			return err
		}
	}
	if err := sqlitex.ExecuteScript(s.writer, schema, nil); err != nil {
		return err
	}
	return s.loadNamespaces()
}

// Close closes all connections.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writer == nil {
		return nil
	}
	var err error
	if s.pool != nil {
		err = s.pool.Close()
	}
	err = errors.Join(err, s.writer.Close())
	s.writer = nil
	return err
}

// reader returns a connection to read with, and what gives it back.
func (s *Store) reader(ctx context.Context) (*sqlite.Conn, func(), error) {
	if s.pool == nil {
		s.mu.Lock()
		return s.writer, s.mu.Unlock, nil
	}
	conn, err := s.pool.Take(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("waiting for a connection to read with: %w", err)
	}
	return conn, func() { s.pool.Put(conn) }, nil
}

// Write appends a message to its stream.
func (s *Store) Write(_ context.Context, name string, m server.NewMessage, expected *int64) (server.Position, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ns, err := s.namespace(name)
	if err != nil {
		return server.Position{}, err
	}
	st, err := ns.stream(s.writer, m.Stream)
	if err != nil {
		return server.Position{}, err
	}
	if expected != nil && *expected != st.version {
		return server.Position{}, server.VersionConflict(*expected, st.version)
	}
	if st.id == 0 {
		return s.writeFirst(ns, st, m)
	}
	return ns.append(s.writer, st, m)
}

// writeFirst writes the first message of a stream together with the stream.
func (s *Store) writeFirst(ns *namespace, st *stream, m server.NewMessage) (p server.Position, err error) {
	end, err := sqlitex.ImmediateTransaction(s.writer)
	if err != nil {
		return p, err
	}
	defer func() {
		if end(&err); err != nil {
			ns.forget(m.Stream)
		}
	}()
	if err := ns.create(s.writer, st, m.Stream); err != nil {
		return p, err
	}
	return ns.append(s.writer, st, m)
}

// Version returns the position of a stream's last message.
func (s *Store) Version(_ context.Context, name, stream string) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ns, err := s.namespace(name)
	if err != nil {
		return 0, err
	}
	st, err := ns.stream(s.writer, stream)
	if err != nil {
		return 0, err
	}
	return st.version, nil
}

// Read yields the messages of a query.
func (s *Store) Read(ctx context.Context, name string, q server.Query, yield func(*server.Message) error) error {
	ns, err := s.namespace(name)
	if err != nil {
		return err
	}
	conn, release, err := s.reader(ctx)
	if err != nil {
		return err
	}
	defer release()
	return ns.read(conn, q, yield)
}

func fromNanos(n int64) time.Time { return time.Unix(0, n) }
