package sqlite

import (
	"errors"
	"fmt"
	"strings"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/eventobench/eventobench/server"
)

// transaction is what begins and ends one. sqlitex has such functions too, but
// they panic if a disk fails at the wrong moment, which would end the server.
type transaction struct {
	begin, commit string
	rollback      []string
}

var (
	writing = transaction{"BEGIN IMMEDIATE", "COMMIT", []string{"ROLLBACK"}}
	reading = transaction{"BEGIN", "COMMIT", []string{"ROLLBACK"}}
	// nested is within the transaction there is, or one if there is none.
	nested = transaction{"SAVEPOINT part", "RELEASE part", []string{"ROLLBACK TO part", "RELEASE part"}}
)

// run runs do in a transaction, which is rolled back if do fails or panics. The
// error may also be one of beginning or ending it.
func (t transaction) run(conn *sqlite.Conn, do func() error) (err error) {
	if err := sqlitex.Execute(conn, t.begin, nil); err != nil {
		return err
	}
	committed := false
	defer func() {
		if committed {
			return
		}
		if failed := t.undo(conn); failed != nil {
			err = errors.Join(err, failed)
		}
	}()
	if err := do(); err != nil {
		return err
	}
	err = sqlitex.Execute(conn, t.commit, nil)
	committed = err == nil
	return err
}

// errNotUndone says that a transaction is open that must not be committed.
var errNotUndone = errors.New("a transaction could not be rolled back")

// undo rolls back, even for a caller who has gone, unless SQLite has done so by
// itself.
func (t transaction) undo(conn *sqlite.Conn) error {
	if conn.AutocommitEnabled() {
		return nil
	}
	defer conn.SetInterrupt(conn.SetInterrupt(nil))
	for _, statement := range t.rollback {
		if conn.AutocommitEnabled() {
			return nil
		}
		if err := sqlitex.Execute(conn, statement, nil); err != nil {
			return fmt.Errorf("%w: %w", errNotUndone, err)
		}
	}
	return nil
}

// undo rolls back what could not be rolled back before. The transaction that a store in
// memory is in is not for that.
func (s *Store) undo() error {
	if s.inMemory() {
		return nil
	}
	return writing.undo(s.writer)
}

// transact runs do in a transaction of the writer. One that could not be rolled
// back is rolled back first.
func (s *Store) transact(do func() error) error {
	if err := s.undo(); err != nil {
		return err
	}
	s.durable.added = 0
	if s.inMemory() {
		return s.transactInMemory(do)
	}
	if err := writing.run(s.writer, do); err != nil {
		return err
	}
	s.durable.committed(s.writer)
	return nil
}

// beginEndless begins the transaction that a store in memory is in, but for what transact
// does. Nobody else sees what it holds, and nothing is rolled back, so that to begin and
// to end one for each write and each read is work for nothing.
func (s *Store) beginEndless() error {
	if err := s.setJournal("off"); err != nil {
		return err
	}
	return sqlitex.Execute(s.writer, writing.begin, nil)
}

// transactInMemory has SQLite keep a journal meanwhile. If it cannot be told to stop, it
// goes on, and if the endless transaction cannot begin, each write has its own: that is
// slower and not wrong.
func (s *Store) transactInMemory(do func() error) error {
	if !s.writer.AutocommitEnabled() {
		if err := sqlitex.Execute(s.writer, writing.commit, nil); err != nil {
			return err
		}
	}
	if err := s.setJournal("memory"); err != nil {
		return err
	}
	err := writing.run(s.writer, do)
	if errors.Is(err, errNotUndone) {
		s.damaged = damage(err)
		return err
	}
	_ = s.beginEndless()
	return err
}

// seeOne runs do on one state of the database.
func seeOne(conn *sqlite.Conn, do func() error) error {
	if conn.AutocommitEnabled() {
		return reading.run(conn, do)
	}
	return do()
}

// setJournal says whether a store in memory can roll back what it does. A journal has a
// copy of every page that is changed, which is a sixth of the work of a write, and a write
// has no use for it: SQLite finds out whether it must refuse a row before it changes
// anything. Nothing else makes one fail, unless memory is used up; see damage.
func (s *Store) setJournal(mode string) error {
	is := ""
	result := func(stmt *sqlite.Stmt) error { is = stmt.ColumnText(0); return nil }
	err := sqlitex.Execute(s.writer, "PRAGMA journal_mode="+mode, &sqlitex.ExecOptions{ResultFunc: result})
	if err == nil && is != mode {
		err = fmt.Errorf("the journal is %q and not %q", is, mode)
	}
	return err
}

// damage is what an error of a write without a journal says of the store, which it may have
// left half done: nothing if the write was refused.
func damage(err error) error {
	var refused *server.Error
	if errors.As(err, &refused) {
		return nil
	}
	return fmt.Errorf("a write to the store in memory failed half done: %w", err)
}

// executeScript runs statements one after the other, up to the first that fails.
func executeScript(conn *sqlite.Conn, script string) error {
	for strings.TrimSpace(script) != "" {
		stmt, trailing, err := conn.PrepareTransient(script)
		if err != nil {
			return err
		}
		_, err = stmt.Step()
		if err := errors.Join(err, stmt.Finalize()); err != nil {
			return err
		}
		script = script[len(script)-trailing:]
	}
	return nil
}
