package sqlite

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

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

// tables are those of one namespace; %[1]d is its id, %[2]d the last position. The three indexes hold
// numbers and 16-byte ids only: names stand once, in the stream table.
const tables = `
CREATE TABLE stream_%[1]d (
	id       INTEGER PRIMARY KEY,
	name     TEXT NOT NULL UNIQUE,
	category TEXT NOT NULL
);
CREATE INDEX stream_%[1]d_category ON stream_%[1]d (category);
CREATE TABLE message_%[1]d (
	gpos     INTEGER PRIMARY KEY CHECK (gpos <= %[2]d), -- global position
	stream   INTEGER NOT NULL,
	category INTEGER NOT NULL,    -- id of the first stream of the category
	pos      INTEGER NOT NULL CHECK (pos <= %[2]d),
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
	orphans, err := s.orphans(known)
	if err != nil {
		return err
	}
	for _, id := range orphans {
		if err := s.transact(func() error { return s.dropTables(id) }); err != nil {
			return fmt.Errorf("dropping tables that were left: %w", err)
		}
	}
	return nil
}

// orphans are the ids of tables whose namespace is not known.
func (s *Store) orphans(known map[int64]bool) (orphans []int64, err error) {
	const query = "SELECT substr(name, 9) FROM sqlite_schema WHERE type = 'table' AND name GLOB 'message_*'"
	err = sqlitex.Execute(s.writer, query, &sqlitex.ExecOptions{
		ResultFunc: func(stmt *sqlite.Stmt) error {
			if id := stmt.ColumnInt64(0); !known[id] {
				orphans = append(orphans, id)
			}
			return nil
		},
	})
	return orphans, err
}

// createTables makes the tables of a namespace under a number of their own.
func (s *Store) createTables() (id int64, err error) {
	s.lastID++
	script := fmt.Sprintf(tables, s.lastID, int64(server.MaxPosition))
	return s.lastID, executeScript(s.writer, script)
}

func (s *Store) dropTables(id int64) error {
	return executeScript(s.writer, fmt.Sprintf("DROP TABLE message_%[1]d; DROP TABLE stream_%[1]d;", id))
}

func (s *Store) namespace(name string) (*namespace, error) {
	s.nsMu.RLock()
	defer s.nsMu.RUnlock()
	if ns := s.byName[name]; ns != nil {
		return ns, nil
	}
	return nil, server.NamespaceNotFound(name)
}

// CreateNamespace adds a namespace and its tables.
func (s *Store) CreateNamespace(_ context.Context, n server.Namespace) (err error) {
	defer explainDisk(&err)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(); err != nil {
		return err
	}
	if _, err := s.namespace(n.Name); err == nil {
		return server.NamespaceExists(n.Name)
	}
	var id int64
	if err := s.transact(func() error {
		var err error
		if id, err = s.createTables(); err != nil {
			return err
		}
		const insert = "INSERT INTO namespace (id, name, description, token_hash, created) VALUES (?, ?, ?, ?, ?)"
		args := []any{id, n.Name, n.Description, n.TokenHash[:], n.Created.UnixNano()}
		return sqlitex.Execute(s.writer, insert, &sqlitex.ExecOptions{Args: args})
	}); err != nil {
		return fmt.Errorf("creating namespace %q: %w", n.Name, err)
	}
	s.nsMu.Lock()
	defer s.nsMu.Unlock()
	s.byName[n.Name] = newNamespace(id)
	return nil
}

// DeleteNamespace removes a namespace, and its tables once nobody reads them.
func (s *Store) DeleteNamespace(ctx context.Context, name string) (messages int64, err error) {
	defer explainDisk(&err)
	// Counted beside the writer first, so that there is little left to count when
	// it waits.
	if err := s.view(ctx, name, func(ns *namespace, conn *sqlite.Conn) error {
		_, err := ns.tally(conn)
		return err
	}); err != nil {
		return 0, err
	}
	ns, messages, err := s.remove(name)
	if err != nil {
		return 0, err
	}
	s.retire(ns)
	return messages, nil
}

// remove takes a namespace out of the store and leaves its tables. It returns how
// many messages these have.
func (s *Store) remove(name string) (*namespace, int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(); err != nil {
		return nil, 0, err
	}
	ns, err := s.namespace(name)
	if err != nil {
		return nil, 0, err
	}
	found, err := ns.tally(s.writer)
	if err != nil {
		return nil, 0, err
	}
	if err := s.transact(func() error {
		return sqlitex.Execute(s.writer, "DELETE FROM namespace WHERE id = ?", &sqlitex.ExecOptions{Args: []any{ns.id}})
	}); err != nil {
		return nil, 0, fmt.Errorf("deleting namespace %q: %w", name, err)
	}
	s.nsMu.Lock()
	defer s.nsMu.Unlock()
	delete(s.byName, name)
	return ns, found.total(), nil
}

// retire drops the tables of a namespace that can no longer be found, when the
// last reader has left them. It does not hold up the writer until then. Tables
// that cannot be dropped now, as on a full disk, go when the store is opened
// again.
func (s *Store) retire(ns *namespace) {
	ns.use.Lock()
	defer ns.use.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writer == nil {
		return
	}
	_ = s.transact(func() error { return s.dropTables(ns.id) })
	s.dropped.add(ns.id)
	s.dropped.finalize(s.writer)
}

// droppedTables knows the numbers of dropped tables, so that connections can let
// go of the statements they keep for them. The zero value is empty.
type droppedTables struct {
	mu   sync.Mutex
	ids  []int64
	seen map[*sqlite.Conn]int // how many of ids a connection has dealt with
}

func (d *droppedTables) add(id int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ids = append(d.ids, id)
}

// unseen returns what was added since a connection last asked.
func (d *droppedTables) unseen(conn *sqlite.Conn) []int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	fresh := d.ids[d.seen[conn]:]
	if len(fresh) > 0 {
		if d.seen == nil {
			d.seen = map[*sqlite.Conn]int{}
		}
		d.seen[conn] = len(d.ids)
	}
	return fresh
}

// finalize frees the statements that a connection has for dropped tables.
func (d *droppedTables) finalize(conn *sqlite.Conn) {
	for _, id := range d.unseen(conn) {
		stmts := newStatements(id)
		for _, text := range stmts.all() {
			if stmt, err := conn.Prepare(text); err == nil { // else it has none
				_ = stmt.Finalize() // an error is that of its last use
			}
		}
	}
}

// Namespaces returns all namespaces by name.
func (s *Store) Namespaces(ctx context.Context) ([]server.Namespace, error) {
	return s.selectNamespaces(ctx, "ORDER BY name")
}

// Namespace returns one namespace and what it holds.
func (s *Store) Namespace(ctx context.Context, name string) (server.Namespace, server.NamespaceStats, error) {
	found, err := s.selectNamespaces(ctx, "WHERE name = ?", name)
	if err == nil && len(found) == 0 {
		err = server.NamespaceNotFound(name)
	}
	if err != nil {
		return server.Namespace{}, server.NamespaceStats{}, err
	}
	var stats server.NamespaceStats
	err = s.view(ctx, name, func(ns *namespace, conn *sqlite.Conn) (err error) {
		stats, err = ns.stats(conn)
		return err
	})
	return found[0], stats, err
}

// selectNamespaces reads the namespaces that the end of a query selects.
func (s *Store) selectNamespaces(ctx context.Context, end string, args ...any) (found []server.Namespace, err error) {
	conn, err := s.reader(ctx)
	if err != nil {
		return nil, err
	}
	defer s.release(conn)
	query := "SELECT name, description, token_hash, created FROM namespace " + end
	err = sqlitex.Execute(conn, query, &sqlitex.ExecOptions{Args: args, ResultFunc: func(stmt *sqlite.Stmt) error {
		n := server.Namespace{
			Name: stmt.ColumnText(0), Description: stmt.ColumnText(1), Created: fromNanos(stmt.ColumnInt64(3)),
		}
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
// which spare a write all queries. These change under the store's lock only.
type namespace struct {
	id         int64
	end        int64 // behind what Replace has filled the tables with, if it has since the store was opened
	streams    map[string]*stream
	categories map[string]int64 // id of each category that streams has met
	sql        statements

	use    sync.RWMutex // locked for reading while its tables are read
	counts counter
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
	findStream, findCategory, lastStream       string
	readStream, readLast, readCategory         string
	readAll, readAllLast                       string
	listStreams, listCategories, stats         string
	countAll, countNew                         string
}

func (s *statements) all() []string {
	return []string{
		s.insertStream, s.insertMessage, s.importMessage, s.findStream, s.findCategory, s.lastStream,
		s.readStream, s.readLast, s.readCategory, s.readAll, s.readAllLast,
		s.listStreams, s.listCategories, s.stats, s.countAll, s.countNew,
	}
}

// newNamespace is the namespace with the tables of an id.
func newNamespace(id int64) *namespace {
	return &namespace{
		id:         id,
		streams:    map[string]*stream{},
		categories: map[string]int64{},
		sql:        newStatements(id),
	}
}

// newStatements are the statements for the tables of an id. Queries for messages
// leave out what the caller knows, the stream of a stream. They have no LIMIT: they
// are left early. Of the others no limit is a parameter by itself, and no column is
// compared to one: SQLite may plan such a statement anew, from its text, whenever the
// parameter is bound. A plus sign keeps it from that.
func newStatements(id int64) statements {
	text := func(parts ...string) string { return fmt.Sprintf(strings.Join(parts, " "), id) }
	const (
		insert = "INSERT INTO message_%[1]d (stream, category, pos, id, type, data, metadata, time"
		fields = "SELECT m.id, m.type, m.pos, m.gpos, m.data, m.metadata, m.time"
		one    = fields + " FROM message_%[1]d m WHERE m.stream = (SELECT id FROM stream_%[1]d WHERE name = +?)"
		// The order of the tables is given: without a limit SQLite may choose the other one, and sort.
		all     = fields + ", s.name FROM message_%[1]d m CROSS JOIN stream_%[1]d s ON s.id = m.stream"
		streams = "FROM stream_%[1]d s JOIN message_%[1]d m ON m.stream = s.id"
	)
	return statements{
		insertStream:  text("INSERT INTO stream_%[1]d (id, name, category) VALUES (?, ?, ?)"),
		insertMessage: text(insert + ") VALUES (?, ?, ?, ?, ?, ?, ?, ?)"),
		importMessage: text(insert + ", gpos) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"),
		findStream:    text("SELECT s.id, m.category, m.pos", streams, "WHERE s.name = +? ORDER BY m.pos DESC LIMIT 1"),
		findCategory:  text("SELECT min(id) FROM stream_%[1]d WHERE category = +?"),
		lastStream:    text("SELECT max(id) FROM stream_%[1]d"),
		readStream:    text(one, "AND m.pos >= ? AND m.gpos >= ? ORDER BY m.pos"),
		readLast:      text(one, "AND (+?2 = '' OR m.type = +?2) ORDER BY m.pos DESC"),
		readCategory: text(all, "WHERE m.category = (SELECT min(id) FROM stream_%[1]d WHERE category = +?)",
			"AND m.gpos >= ? ORDER BY m.gpos"),
		readAllLast: text(all, "WHERE +?1 = '' OR m.type = +?1 ORDER BY m.gpos DESC"),
		readAll:     text(all, "WHERE m.gpos >= ? ORDER BY m.gpos"),
		listStreams: text("SELECT s.name, m.pos, m.time", streams, "WHERE s.name >= ? AND s.name < ?",
			"AND m.pos = (SELECT max(pos) FROM message_%[1]d WHERE stream = s.id) ORDER BY s.name LIMIT +?"),
		listCategories: text("SELECT category, count(*), min(id) FROM stream_%[1]d GROUP BY category ORDER BY category"),
		countAll: text("SELECT category, count(*), (SELECT max(gpos) FROM message_%[1]d)",
			"FROM message_%[1]d GROUP BY category"),
		// In the order of the table, not of the index on category, which has no
		// end to begin from.
		countNew: text("SELECT category, count(*), max(gpos)",
			"FROM message_%[1]d NOT INDEXED WHERE gpos > ? GROUP BY category"),
		stats: text("SELECT (SELECT max(id) FROM stream_%[1]d),",
			"(SELECT time FROM message_%[1]d ORDER BY gpos DESC LIMIT 1)"),
	}
}
