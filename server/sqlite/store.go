// Package sqlite keeps the event store's messages in SQLite, in memory or in a
// file.
package sqlite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
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
	batch  *batcher      // nil if every write has a commit of its own

	damaged error // of a store in memory: what it is not to be used after

	lastID  int64 // of a namespace's tables
	closing sync.Once

	nsMu   sync.RWMutex // guards byName
	byName map[string]*namespace

	dropped droppedTables
	durable durability
}

var _ server.Store = (*Store)(nil)

// Sync says when a store in a file waits for the disk.
type Sync string

// The ways to wait, as SQLite's PRAGMA synchronous has them for a write-ahead
// log.
const (
	SyncFull   Sync = "full"   // at every commit: what was acknowledged survives a power cut
	SyncNormal Sync = "normal" // at checkpoints: it survives a crash of the process
	SyncOff    Sync = "off"    // never: the operating system decides
)

// DefaultPool is how many connections read beside the writer if nothing says so: 4, or
// as many as there are CPUs. More have shown nothing (docs/next-steps.md).
func DefaultPool() int { return max(4, runtime.GOMAXPROCS(0)) }

// Options say how a store in a file works; one in memory has no use for them.
// The zero value is the safest.
type Options struct {
	Sync    Sync // "" is SyncFull
	NoBatch bool // give every write a commit of its own
	Pool    int  // connections that read beside the writer; 0 for DefaultPool

	logPages int // 0 is the constant of that name
}

// Open opens or creates the store at path, which is a file or Memory.
func Open(path string, o Options) (*Store, error) {
	if memoryError != nil {
		return nil, fmt.Errorf("setting up SQLite's memory: %w", memoryError)
	}
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite|sqlite.OpenCreate)
	if err != nil {
		return nil, fmt.Errorf("opening the SQLite store %s: %w", path, err)
	}
	s := &Store{writer: conn, byName: map[string]*namespace{}}
	if err := s.prepare(path, o); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the SQLite store %s: %w", path, explainDamage(err)), s.Close())
	}
	return s, nil
}

func (s *Store) prepare(path string, o Options) error {
	if path != Memory {
		if err := s.prepareFile(path, o); err != nil {
			return err
		}
	} else if err := s.preparePages(); err != nil {
		return err
	}
	if err := executeScript(s.writer, schema); err != nil {
		return err
	}
	if path == Memory {
		return s.beginEndless()
	}
	if err := s.durable.syncFolder(); err != nil {
		return err
	}
	return s.loadNamespaces()
}

// preparePages sets the size of pages of a store in memory.
func (s *Store) preparePages() error {
	return sqlitex.ExecuteTransient(s.writer, fmt.Sprintf("PRAGMA page_size=%d", memoryPage), nil)
}

// prepareFile sets up the write-ahead log, which lets readers go on beside the
// writer.
func (s *Store) prepareFile(path string, o Options) (err error) {
	sync := cmp.Or(o.Sync, SyncFull)
	if sync != SyncFull && sync != SyncNormal && sync != SyncOff {
		return fmt.Errorf("unknown sync %q; use %s, %s or %s", sync, SyncFull, SyncNormal, SyncOff)
	}
	s.durable.sync, s.durable.path, s.durable.pages = sync, path+"-wal", cmp.Or(o.logPages, logPages)
	automatic := s.durable.pages // unless the store does it
	if sync == SyncNormal {
		automatic = 0
	}
	for _, pragma := range []string{
		"PRAGMA journal_mode=WAL", "PRAGMA synchronous=" + string(sync), fmt.Sprintf("PRAGMA wal_autocheckpoint=%d", automatic),
	} {
		if err := sqlitex.ExecuteTransient(s.writer, pragma, nil); err != nil {
			return err
		}
	}
	readers := sqlitex.PoolOptions{Flags: sqlite.OpenReadOnly, PoolSize: cmp.Or(o.Pool, DefaultPool())}
	if s.pool, err = sqlitex.NewPool(path, readers); err != nil {
		return err
	}
	if !o.NoBatch {
		s.batch = startBatcher(s)
	}
	return nil
}

// inMemory says that nobody else reads: the writer does.
func (s *Store) inMemory() bool { return s.pool == nil }

// ready returns an error if the store is not to be used, any more or at all.
func (s *Store) ready() error {
	if s.writer == nil {
		return errClosed
	}
	return s.damaged
}

// Backend names SQLite.
func (s *Store) Backend() string { return "sqlite" }

// Close waits for the writes in progress and closes all connections. Closing a
// store again does nothing.
func (s *Store) Close() (err error) {
	s.closing.Do(func() {
		if s.batch != nil {
			s.batch.close()
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.pool != nil {
			err = s.pool.Close()
		}
		if failed := s.durable.close(); failed != nil {
			err = errors.Join(err, fmt.Errorf("syncing the log: %w", failed))
		} else {
			err = errors.Join(err, s.writer.Close())
		}
		s.writer = nil
	})
	return err
}

// reader returns a connection to read with, which is to be released.
func (s *Store) reader(ctx context.Context) (*sqlite.Conn, error) {
	if s.inMemory() {
		s.mu.Lock()
		if err := s.ready(); err != nil {
			s.mu.Unlock()
			return nil, err
		}
		return s.writer, nil
	}
	conn, err := s.pool.Take(ctx)
	if err != nil {
		return nil, fmt.Errorf("waiting for a connection to read with: %w", err)
	}
	s.dropped.finalize(conn)
	return conn, nil
}

// release gives back what reader returned.
func (s *Store) release(conn *sqlite.Conn) {
	if s.inMemory() {
		s.mu.Unlock()
		return
	}
	s.pool.Put(conn)
}

// view runs do with a namespace and a connection to read it with. Its tables
// stay until do has returned, even if they are exchanged or dropped meanwhile.
func (s *Store) view(ctx context.Context, name string, do func(*namespace, *sqlite.Conn) error) error {
	conn, err := s.reader(ctx)
	if err != nil {
		return err
	}
	defer s.release(conn)
	ns, err := s.pin(name)
	if err != nil {
		return err
	}
	defer ns.use.RUnlock()
	return do(ns, conn)
}

// pin finds a namespace and keeps its tables until its use is unlocked.
func (s *Store) pin(name string) (*namespace, error) {
	s.nsMu.RLock()
	defer s.nsMu.RUnlock()
	ns := s.byName[name]
	if ns == nil {
		return nil, server.NamespaceNotFound(name)
	}
	ns.use.RLock()
	return ns, nil
}

// Write appends a message to its stream.
func (s *Store) Write(
	_ context.Context, name string, m server.NewMessage, expected *int64,
) (p server.Position, err error) {
	defer explainDisk(&err)
	if s.batch != nil {
		return s.batch.do(name, m, expected)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(); err != nil {
		return server.Position{}, err
	}
	if err := s.undo(); err != nil {
		return server.Position{}, err
	}
	p, err = s.apply(&write{namespace: name, message: m, expected: expected}) // another one, which stays on the stack
	if err == nil {
		s.durable.committed(s.writer)
	} else if s.inMemory() {
		s.damaged = damage(err)
	}
	return p, err
}

// apply executes a write, in the transaction there is or in its own.
func (s *Store) apply(w *write) (p server.Position, err error) {
	if err := s.ready(); err != nil {
		return p, err
	}
	ns, err := s.namespace(w.namespace)
	if err != nil {
		return p, err
	}
	st, err := ns.stream(s.writer, w.message.Stream)
	if err != nil {
		return p, err
	}
	if w.expected != nil && *w.expected != st.version {
		return p, server.VersionConflict(*w.expected, st.version)
	}
	if st.id == 0 {
		p, err = s.writeFirst(ns, st, w.message)
	} else {
		p, err = ns.append(s.writer, st, w.message)
	}
	if err == nil {
		s.durable.added++
	}
	return p, err
}

// writeFirst writes the first message of a stream together with the stream, or
// neither. The message is first, since it may be refused.
func (s *Store) writeFirst(ns *namespace, st *stream, m server.NewMessage) (p server.Position, err error) {
	both := func() error {
		if err := ns.numberStream(s.writer, st, m.Stream); err != nil {
			return err
		}
		if p, err = ns.append(s.writer, st, m); err != nil {
			return err
		}
		return ns.addStream(s.writer, st, m.Stream)
	}
	if s.inMemory() {
		err = both()
		return p, err
	}
	if err := nested.run(s.writer, both); err != nil {
		ns.forgetStream(m.Stream)
		return p, err
	}
	return p, nil
}

// Version returns the position of a stream's last message. A store in a file
// asks the database, so that no reader waits for the writer.
func (s *Store) Version(ctx context.Context, name, stream string) (version int64, err error) {
	err = s.view(ctx, name, func(ns *namespace, conn *sqlite.Conn) error {
		if s.inMemory() {
			st, err := ns.stream(conn, stream)
			if err == nil {
				version = st.version
			}
			return err
		}
		st, err := ns.findStream(conn, stream)
		version = st.version
		return err
	})
	return version, err
}

// Read yields the messages of a query.
func (s *Store) Read(ctx context.Context, name string, q server.Query, yield func(*server.Message) error) error {
	return s.view(ctx, name, func(ns *namespace, conn *sqlite.Conn) error {
		if q.Epoch != 0 && q.Epoch != ns.id {
			return server.Replaced(name)
		}
		return ns.read(conn, q, yield)
	})
}

// Epoch returns the number of the namespace's tables, and where what Replace has
// filled them with ends. A start of the store forgets that: no reader outlives it.
func (s *Store) Epoch(ctx context.Context, name string) (epoch, end int64, err error) {
	err = s.view(ctx, name, func(ns *namespace, _ *sqlite.Conn) error {
		epoch, end = ns.id, ns.end
		return nil
	})
	return epoch, end, err
}

// explainDisk puts in words what is wrong with the disk, if that made a write
// fail. It is to be deferred.
func explainDisk(err *error) {
	if *err == nil {
		return
	}
	switch code := sqlite.ErrCode(*err); code.ToPrimary() {
	case sqlite.ResultFull:
		*err = fmt.Errorf("it cannot be written, its disk is full: %w", *err)
	case sqlite.ResultReadOnly:
		*err = fmt.Errorf("it cannot be written, its file or disk is read-only: %w", *err)
	case sqlite.ResultIOErr, sqlite.ResultCantOpen:
		*err = fmt.Errorf("it cannot be written, its disk fails with %v: %w", code, *err)
	}
	*err = explainDamage(*err)
}

// explainDamage puts in words that a file is not, or no longer, a sound database.
func explainDamage(err error) error {
	switch sqlite.ErrCode(err).ToPrimary() {
	case sqlite.ResultCorrupt, sqlite.ResultNotADB:
		return fmt.Errorf("its file is damaged; restore it from a copy, or import an export into a new one: %w", err)
	}
	return err
}

func fromNanos(n int64) time.Time { return time.Unix(0, n) }
