package sqlite

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// logPages is how long the log gets before it is taken into the database. It is
// SQLite's own number.
const logPages = 1000

// lookEvery is after how many commits the log's length is looked at.
const lookEvery = 16

// Everything says that all that was acknowledged may be lost.
const Everything = -1

// durability knows what a power cut may take, and with normal sync brings the log
// to the disk. SQLite would do so by itself, but if that fails it only tries
// again, and the second try succeeds without having written anything: Linux takes
// pages for clean after a failed sync. The database would then be made of a log
// that is not there after a power cut. Its fields but the last are guarded by the
// store's lock.
type durability struct {
	sync     Sync
	path     string // of the log
	pages    int    // its length at which it is synced
	log      *os.File
	commits  int   // since its length was looked at
	added    int64 // messages that the next commit holds
	unsynced int64 // messages that were committed and are not on disk
	waiting  bool  // something was committed since the log was synced
	doubtful bool  // a sync of the log failed
	failing  bool  // the last try to take the log into the database failed

	most atomic.Int64 // of unsynced
}

// MaxUnsynced returns the most messages that were acknowledged and not yet on
// disk at any moment since the store was opened, or Everything.
func (s *Store) MaxUnsynced() int64 {
	switch s.durable.sync {
	case SyncFull:
		return 0
	case SyncNormal:
		return s.durable.most.Load()
	}
	return Everything
}

// committed is called after each commit, before its messages are acknowledged.
func (d *durability) committed(conn *sqlite.Conn) {
	if d.sync != SyncNormal {
		return
	}
	d.unsynced += d.added
	d.added, d.waiting = 0, true
	if d.commits++; d.commits >= min(lookEvery, d.pages) {
		d.commits = 0
		d.tell(d.look(conn))
	}
	d.most.Store(max(d.most.Load(), d.unsynced))
}

// tell logs the first failure of several in a row.
func (d *durability) tell(err error) {
	if err != nil && !d.failing {
		slog.Error("the store's log cannot be brought to the disk; a power cut may lose what was written since",
			"log", d.path, "messages", d.unsynced, "error", err)
	}
	d.failing = err != nil
}

// look takes the log into the database if it is long.
func (d *durability) look(conn *sqlite.Conn) error {
	length := 0
	if err := checkpoint(conn, "NOOP", func(stmt *sqlite.Stmt) { length = stmt.ColumnInt(1) }); err != nil {
		return err
	}
	if length < d.pages {
		return nil
	}
	if err := d.syncLog(); err != nil {
		return err
	}
	return checkpoint(conn, "PASSIVE", func(*sqlite.Stmt) {})
}

func checkpoint(conn *sqlite.Conn, mode string, result func(*sqlite.Stmt)) error {
	return sqlitex.Execute(conn, "PRAGMA wal_checkpoint("+mode+")", &sqlitex.ExecOptions{
		ResultFunc: func(stmt *sqlite.Stmt) error { result(stmt); return nil },
	})
}

// syncLog brings the log to the disk. After a sync that failed it is written anew
// first.
func (d *durability) syncLog() (err error) {
	if d.log == nil {
		if d.log, err = os.OpenFile(d.path, os.O_RDWR, 0); err != nil {
			return err
		}
	}
	if d.doubtful {
		if err := rewrite(d.log); err != nil {
			return fmt.Errorf("writing it anew: %w", err)
		}
	}
	err = d.log.Sync()
	if d.doubtful = err != nil; !d.doubtful {
		d.unsynced, d.waiting = 0, false
	}
	return err
}

// rewrite writes what a file holds over itself, so that its next sync writes it to
// the disk.
func rewrite(f *os.File) error {
	part := make([]byte, 1<<16)
	for offset := int64(0); ; {
		n, err := f.ReadAt(part, offset)
		if err != nil && err != io.EOF {
			return err
		}
		if _, err := f.WriteAt(part[:n], offset); err != nil {
			return err
		}
		if err == io.EOF {
			return nil
		}
		offset += int64(n)
	}
}

// syncFolder brings to the disk that there are a database and a log, which SQLite
// has made by now. It does so too, but goes on if that fails: then all is lost
// with the log's name. On Windows folders cannot be synced.
func (d *durability) syncFolder() error {
	d.waiting = true
	if d.sync == SyncOff || runtime.GOOS == "windows" {
		return nil
	}
	folder, err := os.Open(filepath.Dir(d.path))
	if err != nil {
		return err
	}
	if err := errors.Join(folder.Sync(), folder.Close()); err != nil {
		return fmt.Errorf("syncing the folder: %w", err)
	}
	return nil
}

// close is called before the writer is closed, which takes the log into the
// database. If it returns an error, the writer must not be closed: whoever opens
// the store next finds the log.
func (d *durability) close() error {
	var err error
	if d.sync == SyncNormal && d.waiting {
		err = d.syncLog()
	}
	if d.log != nil {
		err = errors.Join(err, d.log.Close())
	}
	return err
}
