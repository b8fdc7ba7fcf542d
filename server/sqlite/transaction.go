package sqlite

import (
	"errors"
	"fmt"
	"strings"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
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

// transact runs do in a transaction of the writer. One that could not be rolled
// back is rolled back first.
func (s *Store) transact(do func() error) error {
	if err := writing.undo(s.writer); err != nil {
		return err
	}
	s.durable.added = 0
	if err := writing.run(s.writer, do); err != nil {
		return err
	}
	s.durable.committed(s.writer)
	return nil
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
