package sqlite

import (
	"context"
	"errors"
	"fmt"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/eventobench/eventobench/server"
)

// schema holds what all namespaces share. Each namespace has tables of its own
// beside it, numbered by its id: its messages cannot be reached through another
// one, global positions are row numbers, and deleting it drops them.
const schema = `
CREATE TABLE IF NOT EXISTS namespace (
	id          INTEGER PRIMARY KEY,
	name        TEXT NOT NULL UNIQUE,
	description TEXT NOT NULL,
	token_hash  BLOB NOT NULL,
	created     INTEGER NOT NULL -- ns since 1970
);`

// tables are those of one namespace; %[1]d is its id. The three indexes hold
// numbers and 16-byte ids only: names stand once, in the stream table.
const tables = `
CREATE TABLE stream_%[1]d (
	id       INTEGER PRIMARY KEY,
	name     TEXT NOT NULL UNIQUE,
	category TEXT NOT NULL
);
CREATE INDEX stream_%[1]d_category ON stream_%[1]d (category);
CREATE TABLE message_%[1]d (
	gpos     INTEGER PRIMARY KEY, -- global position
	stream   INTEGER NOT NULL,
	category INTEGER NOT NULL,    -- id of the first stream of the category
	pos      INTEGER NOT NULL,
	id       BLOB NOT NULL,
	type     TEXT NOT NULL,
	data     BLOB NOT NULL,       -- compact JSON
	metadata BLOB,
	time     INTEGER NOT NULL     -- ns since 1970
);
CREATE UNIQUE INDEX message_%[1]d_id ON message_%[1]d (id);
CREATE UNIQUE INDEX message_%[1]d_pos ON message_%[1]d (stream, pos);
CREATE INDEX message_%[1]d_category ON message_%[1]d (category);`

// loadNamespaces fills the table of namespaces from the database, and drops
// what a Replace that was cut short has left.
func (s *Store) loadNamespaces() error {
	known := map[int64]bool{}
	if err := sqlitex.Execute(s.writer, "SELECT id, name FROM namespace", &sqlitex.ExecOptions{
		ResultFunc: func(stmt *sqlite.Stmt) error {
			id := stmt.ColumnInt64(0)
			s.byName[stmt.ColumnText(1)] = newNamespace(id)
			known[id], s.lastID = true, max(s.lastID, id)
			return nil
		},
	}); err != nil {
		return err
	}
	var orphans []int64
	if err := sqlitex.Execute(s.writer, "SELECT substr(name, 9) FROM sqlite_schema WHERE type = 'table' AND name GLOB 'message_*'", &sqlitex.ExecOptions{
		ResultFunc: func(stmt *sqlite.Stmt) error {
			if id := stmt.ColumnInt64(0); !known[id] {
				orphans = append(orphans, id)
			}
			return nil
		},
	}); err != nil {
		return err
	}
	for _, id := range orphans {
		if err := s.dropTables(id); err != nil {
			return err
		}
	}
	return nil
}

// createTables makes the tables of a namespace under a number of their own.
func (s *Store) createTables() (id int64, err error) {
	s.lastID++
	return s.lastID, sqlitex.ExecuteScript(s.writer, fmt.Sprintf(tables, s.lastID), nil)
}

func (s *Store) dropTables(id int64) error {
	return sqlitex.ExecuteScript(s.writer, fmt.Sprintf("DROP TABLE message_%[1]d; DROP TABLE stream_%[1]d;", id), nil)
}

func (s *Store) namespace(name string) (*namespace, error) {
	s.spaces.RLock()
	defer s.spaces.RUnlock()
	if ns := s.byName[name]; ns != nil {
		return ns, nil
	}
	return nil, server.NamespaceNotFound(name)
}

// CreateNamespace adds a namespace and its tables.
func (s *Store) CreateNamespace(_ context.Context, n server.Namespace) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.namespace(n.Name); err == nil {
		return server.NamespaceExists(n.Name)
	}
	var id int64
	if err := s.transact(func() error {
		var err error
		if id, err = s.createTables(); err != nil {
			return err
		}
		return sqlitex.Execute(s.writer, "INSERT INTO namespace (id, name, description, token_hash, created) VALUES (?, ?, ?, ?, ?)",
			&sqlitex.ExecOptions{Args: []any{id, n.Name, n.Description, n.TokenHash[:], n.Created.UnixNano()}})
	}); err != nil {
		return fmt.Errorf("creating namespace %q: %w", n.Name, err)
	}
	s.spaces.Lock()
	defer s.spaces.Unlock()
	s.byName[n.Name] = newNamespace(id)
	return nil
}

// DeleteNamespace drops a namespace's tables.
func (s *Store) DeleteNamespace(_ context.Context, name string) (messages int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ns, err := s.namespace(name)
	if err != nil {
		return 0, err
	}
	stats, err := ns.stats(s.writer)
	if err != nil {
		return 0, err
	}
	s.spaces.Lock()
	defer s.spaces.Unlock()
	if err := s.drop(ns); err != nil {
		return 0, fmt.Errorf("deleting namespace %q: %w", name, err)
	}
	delete(s.byName, name)
	return stats.Messages, nil
}

func (s *Store) drop(ns *namespace) error {
	return s.transact(func() error {
		if err := sqlitex.Execute(s.writer, "DELETE FROM namespace WHERE id = ?", &sqlitex.ExecOptions{Args: []any{ns.id}}); err != nil {
			return err
		}
		return s.dropTables(ns.id)
	})
}

// Namespaces returns all namespaces by name.
func (s *Store) Namespaces(ctx context.Context) ([]server.Namespace, error) {
	return s.selectNamespaces(ctx, "SELECT name, description, token_hash, created FROM namespace ORDER BY name")
}

// Namespace returns one namespace and what it holds.
func (s *Store) Namespace(ctx context.Context, name string) (server.Namespace, server.NamespaceStats, error) {
	found, err := s.selectNamespaces(ctx, "SELECT name, description, token_hash, created FROM namespace WHERE name = ?", name)
	if err == nil && len(found) == 0 {
		err = server.NamespaceNotFound(name)
	}
	if err != nil {
		return server.Namespace{}, server.NamespaceStats{}, err
	}
	ns, conn, release, err := s.readNamespace(ctx, name)
	if err != nil {
		return server.Namespace{}, server.NamespaceStats{}, err
	}
	defer release()
	stats, err := ns.stats(conn)
	return found[0], stats, err
}

func (s *Store) selectNamespaces(ctx context.Context, query string, args ...any) (found []server.Namespace, err error) {
	conn, release, err := s.reader(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	err = sqlitex.Execute(conn, query, &sqlitex.ExecOptions{Args: args, ResultFunc: func(stmt *sqlite.Stmt) error {
		n := server.Namespace{Name: stmt.ColumnText(0), Description: stmt.ColumnText(1), Created: fromNanos(stmt.ColumnInt64(3))}
		if stmt.ColumnBytes(2, n.TokenHash[:]) != len(n.TokenHash) {
			return errors.New("a token hash is damaged")
		}
		found = append(found, n)
		return nil
	}})
	if err != nil {
		return nil, fmt.Errorf("reading the namespaces: %w", err)
	}
	return found, nil
}

// namespace is one namespace: its statements, and the versions of its streams,
// which spare a write all queries. It changes under the store's lock only.
type namespace struct {
	id         int64
	streams    map[string]*stream
	categories map[string]int64 // id of each category that streams has met
	sql        statements
}

// maxStreams bounds the table of streams; beyond it, it is begun anew.
const maxStreams = 100_000

// stream is what must be known to append to a stream.
type stream struct {
	id       int64 // 0 if the stream is new
	category int64
	version  int64
}

// statements are the texts by which a connection keeps its prepared ones.
type statements struct {
	insertStream, insertMessage, importMessage string
	findStream, findCategory                   string
	readStream, readLast, readCategory         string
	readAll, readAllLast                       string
	stats, listStreams, listCategories         string
}

const columns = "m.id, s.name, m.type, m.pos, m.gpos, m.data, m.metadata, m.time"

func newNamespace(id int64) *namespace {
	text := func(format string) string { return fmt.Sprintf(format, id) }
	from := "SELECT " + columns + " FROM message_%[1]d m JOIN stream_%[1]d s ON s.id = m.stream "
	return &namespace{
		id:         id,
		streams:    map[string]*stream{},
		categories: map[string]int64{},
		sql: statements{
			insertStream:  text("INSERT INTO stream_%[1]d (name, category) VALUES (?, ?)"),
			insertMessage: text("INSERT INTO message_%[1]d (stream, category, pos, id, type, data, metadata, time) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"),
			importMessage: text("INSERT INTO message_%[1]d (stream, category, pos, id, type, data, metadata, time, gpos) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"),
			findStream:    text("SELECT s.id, m.category, m.pos FROM stream_%[1]d s JOIN message_%[1]d m ON m.stream = s.id WHERE s.name = ? ORDER BY m.pos DESC LIMIT 1"),
			findCategory:  text("SELECT min(id) FROM stream_%[1]d WHERE category = ?"),
			readStream:    text(from + "WHERE s.name = ? AND m.pos >= ? AND m.gpos >= ? ORDER BY m.pos LIMIT ?"),
			readLast:      text(from + "WHERE s.name = ?1 AND (?2 = '' OR m.type = ?2) ORDER BY m.pos DESC LIMIT ?3"),
			readCategory:  text(from + "WHERE m.category = ? AND m.gpos >= ? ORDER BY m.gpos"),
			readAllLast:   text(from + "WHERE ?1 = '' OR m.type = ?1 ORDER BY m.gpos DESC"),
			readAll:       text(from + "WHERE m.gpos >= ? ORDER BY m.gpos"),
			listStreams: text("SELECT s.name, m.pos, m.time FROM stream_%[1]d s JOIN message_%[1]d m ON m.stream = s.id " +
				"WHERE s.name >= ?1 AND s.name > ?2 AND substr(s.name, 1, length(?1)) = ?1 " +
				"AND m.pos = (SELECT max(pos) FROM message_%[1]d WHERE stream = s.id) ORDER BY s.name LIMIT ?3"),
			listCategories: text("SELECT s.category, (SELECT count(*) FROM stream_%[1]d WHERE category = s.category), " +
				"(SELECT count(*) FROM message_%[1]d WHERE category = s.id) " +
				"FROM stream_%[1]d s GROUP BY s.category HAVING s.id = min(s.id) ORDER BY s.category"),
			stats: text("SELECT (SELECT count(*) FROM message_%[1]d), (SELECT count(*) FROM stream_%[1]d), (SELECT time FROM message_%[1]d ORDER BY gpos DESC LIMIT 1)"),
		},
	}
}

func (ns *namespace) stats(conn *sqlite.Conn) (server.NamespaceStats, error) {
	var stats server.NamespaceStats
	err := sqlitex.Execute(conn, ns.sql.stats, &sqlitex.ExecOptions{ResultFunc: func(stmt *sqlite.Stmt) error {
		stats.Messages, stats.Streams = stmt.ColumnInt64(0), stmt.ColumnInt64(1)
		if !stmt.ColumnIsNull(2) {
			stats.LastActivity = fromNanos(stmt.ColumnInt64(2))
		}
		return nil
	}})
	if err != nil {
		return stats, fmt.Errorf("counting what a namespace holds: %w", err)
	}
	return stats, nil
}

// Streams lists streams of a namespace by name.
func (s *Store) Streams(ctx context.Context, name string, q server.StreamQuery) (streams []server.StreamInfo, err error) {
	err = s.list(ctx, name, func(ns *namespace) string { return ns.sql.listStreams }, []any{q.Prefix, q.After, q.Limit}, func(stmt *sqlite.Stmt) error {
		streams = append(streams, server.StreamInfo{Name: stmt.ColumnText(0), Version: stmt.ColumnInt64(1), LastActivity: fromNanos(stmt.ColumnInt64(2))})
		return nil
	})
	return streams, err
}

// Categories lists the categories of a namespace by name.
func (s *Store) Categories(ctx context.Context, name string) (categories []server.CategoryInfo, err error) {
	err = s.list(ctx, name, func(ns *namespace) string { return ns.sql.listCategories }, nil, func(stmt *sqlite.Stmt) error {
		categories = append(categories, server.CategoryInfo{Category: stmt.ColumnText(0), StreamCount: stmt.ColumnInt64(1), MessageCount: stmt.ColumnInt64(2)})
		return nil
	})
	return categories, err
}

// list runs one of a namespace's listing queries.
func (s *Store) list(ctx context.Context, name string, query func(*namespace) string, args []any, row func(*sqlite.Stmt) error) error {
	ns, conn, release, err := s.readNamespace(ctx, name)
	if err != nil {
		return err
	}
	defer release()
	if err := sqlitex.Execute(conn, query(ns), &sqlitex.ExecOptions{Args: args, ResultFunc: row}); err != nil {
		return fmt.Errorf("listing namespace %q: %w", name, err)
	}
	return nil
}
