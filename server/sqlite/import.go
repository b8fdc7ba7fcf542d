package sqlite

import (
	"context"
	"fmt"
	"io"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/eventobench/eventobench/server"
)

// Import adds records at the places they had, all or none.
func (s *Store) Import(_ context.Context, name string, records []server.Record) (err error) {
	defer explainDisk(&err)
	s.mu.Lock()
	defer s.mu.Unlock()
	ns, err := s.namespace(name)
	if err != nil {
		return err
	}
	return s.importInto(ns, records)
}

// importInto adds records in one transaction. The caller holds the lock.
func (s *Store) importInto(ns *namespace, records []server.Record) error {
	if err := s.ready(); err != nil {
		return err
	}
	err := s.transact(func() error {
		for i, r := range records {
			if err := ns.importRecord(s.writer, r); err != nil {
				return atIndex(i, r, err)
			}
		}
		s.durable.added += int64(len(records))
		return nil
	})
	ns.counts.reset()
	if err != nil {
		clear(ns.streams)
		clear(ns.categories)
	}
	return err
}

func (ns *namespace) importRecord(conn *sqlite.Conn, r server.Record) error {
	st, err := ns.stream(conn, r.Stream)
	if err != nil {
		return err
	}
	if st.id == 0 {
		if err := ns.numberStream(conn, st, r.Stream); err != nil {
			return err
		}
		if err := ns.addStream(conn, st, r.Stream); err != nil {
			return err
		}
	}
	stmt, err := conn.Prepare(ns.sql.importMessage)
	if err != nil {
		return err
	}
	bindMessage(stmt, st, r.Position.Position, r.NewMessage)
	stmt.BindInt64(9, r.GlobalPosition)
	_, err = stmt.Step()
	if err := finish(stmt, err); err != nil {
		return err
	}
	st.version = max(st.version, r.Position.Position)
	return nil
}

// atIndex says which record of a batch an error is of, if it is of one.
func atIndex(i int, r server.Record, err error) error {
	switch sqlite.ErrCode(err) {
	case sqlite.ResultConstraintUnique, sqlite.ResultConstraintPrimaryKey, sqlite.ResultConstraintRowID:
		return &server.RecordError{Index: i, Err: &server.Error{
			Code: server.CodePositionExists,
			Message: fmt.Sprintf("Message id %s, global position %d, or position %d of stream %q is taken",
				r.ID, r.GlobalPosition, r.Position.Position, r.Stream),
		}}
	}
	return fmt.Errorf("importing a message: %w", err)
}

// Replace builds new tables beside those of the namespace and exchanges them
// when all records are in. Until then the old ones serve; who is reading them at
// that moment reads on to the end.
func (s *Store) Replace(_ context.Context, name string, next func() ([]server.Record, error)) (err error) {
	defer explainDisk(&err)
	fresh, err := s.newTables()
	if err != nil {
		return err
	}
	if err := s.fill(fresh, next); err != nil {
		s.retire(fresh)
		return err
	}
	old, err := s.exchange(name, fresh)
	if err != nil {
		s.retire(fresh)
		return err
	}
	s.retire(old)
	return nil
}

func (s *Store) newTables() (*namespace, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(); err != nil {
		return nil, err
	}
	var id int64
	err := s.transact(func() (err error) {
		id, err = s.createTables()
		return err
	})
	return newNamespace(id), err
}

func (s *Store) fill(ns *namespace, next func() ([]server.Record, error)) error {
	ns.end = 1
	for {
		batch, err := next() // reads from a client: the lock is not held
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		s.mu.Lock()
		err = s.importInto(ns, batch)
		s.mu.Unlock()
		if err != nil {
			return err
		}
		for _, r := range batch {
			ns.end = max(ns.end, r.GlobalPosition+1)
		}
	}
}

// exchange puts the tables in place of the namespace's and returns the old
// ones.
func (s *Store) exchange(name string, fresh *namespace) (old *namespace, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(); err != nil {
		return nil, err
	}
	if old, err = s.namespace(name); err != nil {
		return nil, err
	}
	if err := s.transact(func() error {
		const update = "UPDATE namespace SET id = ? WHERE id = ?"
		return sqlitex.Execute(s.writer, update, &sqlitex.ExecOptions{Args: []any{fresh.id, old.id}})
	}); err != nil {
		return nil, fmt.Errorf("replacing the messages of namespace %q: %w", name, err)
	}
	s.nsMu.Lock()
	defer s.nsMu.Unlock()
	s.byName[name] = fresh
	return old, nil
}
