package sqlite

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"

	"zombiezen.com/go/sqlite"

	"github.com/eventobench/eventobench/server"
)

// stream returns what is known of a stream, from memory if it was met before.
// Only streams that exist are remembered: a reader may ask for any name.
func (ns *namespace) stream(conn *sqlite.Conn, name string) (*stream, error) {
	if st := ns.streams[name]; st != nil {
		return st, nil
	}
	st, err := ns.findStream(conn, name)
	if err != nil {
		return nil, err
	}
	if st.id != 0 {
		ns.rememberStream(name, &st)
	}
	return &st, nil
}

// findStream asks the database for a stream.
func (ns *namespace) findStream(conn *sqlite.Conn, name string) (stream, error) {
	st := stream{version: server.NoStream}
	stmt, err := conn.Prepare(ns.sql.findStream)
	if err != nil {
		return stream{}, err
	}
	stmt.BindText(1, name)
	found, err := stmt.Step()
	if found {
		st = stream{id: stmt.ColumnInt64(0), category: stmt.ColumnInt64(1), version: stmt.ColumnInt64(2)}
	}
	if err := finish(stmt, err); err != nil {
		return stream{}, fmt.Errorf("looking for a stream: %w", err)
	}
	return st, nil
}

func (ns *namespace) rememberStream(name string, st *stream) {
	if len(ns.streams) >= maxStreams {
		clear(ns.streams)
	}
	ns.streams[strings.Clone(name)] = st // it is the caller's
}

// forgetStream drops what a failed write may have left.
func (ns *namespace) forgetStream(name string) {
	delete(ns.streams, name)
	delete(ns.categories, server.Category(name))
}

// numberStream gives a new stream its number, and that of its category: its own if it
// is the first there. Both stay free until it is added.
func (ns *namespace) numberStream(conn *sqlite.Conn, st *stream, name string) error {
	last, err := selectNumber(conn, ns.sql.lastStream)
	if err != nil {
		return fmt.Errorf("numbering a stream: %w", err)
	}
	category, err := ns.category(conn, server.Category(name))
	if err != nil {
		return err
	}
	st.id = last + 1
	st.category = cmp.Or(category, st.id)
	return nil
}

// addStream adds a stream that has its number.
func (ns *namespace) addStream(conn *sqlite.Conn, st *stream, name string) error {
	stmt, err := conn.Prepare(ns.sql.insertStream)
	if err != nil {
		return err
	}
	stmt.BindInt64(1, st.id)
	stmt.BindText(2, name)
	stmt.BindText(3, server.Category(name))
	_, err = stmt.Step()
	if err := finish(stmt, err); err != nil {
		return fmt.Errorf("adding a stream: %w", err)
	}
	ns.rememberStream(name, st)
	return nil
}

// category returns the number of a category: the id of its first stream. It is
// 0 if there is no such stream.
func (ns *namespace) category(conn *sqlite.Conn, name string) (int64, error) {
	if id := ns.categories[name]; id != 0 {
		return id, nil
	}
	id, err := selectNumber(conn, ns.sql.findCategory, name)
	if err != nil {
		return 0, fmt.Errorf("looking for a category: %w", err)
	}
	if id != 0 {
		if len(ns.categories) >= maxStreams {
			clear(ns.categories)
		}
		ns.categories[strings.Clone(name)] = id
	}
	return id, nil
}

// selectNumber returns the number that a query of texts selects, or 0.
func selectNumber(conn *sqlite.Conn, query string, texts ...string) (n int64, err error) {
	stmt, err := conn.Prepare(query)
	if err != nil {
		return 0, err
	}
	for i, text := range texts {
		stmt.BindText(i+1, text)
	}
	if _, err = stmt.Step(); err == nil {
		n = stmt.ColumnInt64(0)
	}
	return n, finish(stmt, err)
}

// append adds a message at the end of its stream.
func (ns *namespace) append(conn *sqlite.Conn, st *stream, m server.NewMessage) (server.Position, error) {
	stmt, err := conn.Prepare(ns.sql.insertMessage)
	if err != nil {
		return server.Position{}, err
	}
	bindMessage(stmt, st, st.version+1, m)
	_, err = stmt.Step()
	if err := finish(stmt, err); err != nil {
		switch sqlite.ErrCode(err) {
		case sqlite.ResultConstraintUnique:
			return server.Position{}, server.MessageExists(m.ID)
		case sqlite.ResultConstraintCheck:
			return server.Position{}, server.PositionsUsedUp()
		}
		return server.Position{}, fmt.Errorf("writing a message: %w", err)
	}
	st.version++
	return server.Position{Position: st.version, GlobalPosition: conn.LastInsertRowID()}, nil
}

func bindMessage(stmt *sqlite.Stmt, st *stream, position int64, m server.NewMessage) {
	stmt.BindInt64(1, st.id)
	stmt.BindInt64(2, st.category)
	stmt.BindInt64(3, position)
	stmt.BindBytes(4, m.ID[:])
	stmt.BindText(5, m.Type)
	stmt.BindBytes(6, m.Data)
	if m.Metadata == nil {
		stmt.BindNull(7)
	} else {
		stmt.BindBytes(7, m.Metadata)
	}
	stmt.BindInt64(8, m.Time.UnixNano())
}

// finish makes a statement ready for its next use and keeps the first error.
func finish(stmt *sqlite.Stmt, err error) error {
	if resetErr := stmt.Reset(); err == nil {
		err = resetErr
	}
	return err
}

// read yields the messages of a query. SQL selects and orders them; they are
// limited here, where filters that only Go knows, a consumer group or a
// correlation, have been applied. The statement is reset at the end, whatever that
// is: one that is left in the middle would keep its snapshot and hold up the log.
func (ns *namespace) read(conn *sqlite.Conn, q server.Query, yield func(*server.Message) error) error {
	stmt, err := ns.bind(conn, q)
	if err != nil {
		return err
	}
	row := rows.Get().(*row)
	defer rows.Put(row)
	row.Epoch = ns.id
	return finish(stmt, row.each(stmt, q, yield))
}

// each yields the rows of a statement that the query's filters leave, one after
// the other in the same memory, up to its limit.
func (r *row) each(stmt *sqlite.Stmt, q server.Query, yield func(*server.Message) error) error {
	r.begin(q)
	for left := q.Limit; left != 0; {
		found, err := stmt.Step()
		if err != nil || !found {
			return err
		}
		r.scan(stmt)
		if q.Group != nil && !q.Group.Has(string(r.Stream)) || !server.Correlates(r.Metadata, q.Correlation) {
			continue
		}
		if err := yield(&r.Message); err != nil {
			return err
		}
		left--
	}
	return nil
}

// bind prepares the statement of a query.
func (ns *namespace) bind(conn *sqlite.Conn, q server.Query) (*sqlite.Stmt, error) {
	stmt, err := conn.Prepare(ns.choose(q))
	if err != nil {
		return nil, err
	}
	param := 0
	if name := nameIn(q); name != "" {
		param++
		stmt.BindText(param, name)
	}
	if q.Last {
		stmt.BindText(param+1, q.Type)
		return stmt, nil
	}
	if q.Stream != "" {
		param++
		stmt.BindInt64(param, q.Position)
	}
	stmt.BindInt64(param+1, q.GlobalPosition)
	return stmt, nil
}

// nameIn is the stream or the category of a query, or empty.
func nameIn(q server.Query) string {
	switch {
	case q.Stream != "":
		return q.Stream
	case q.Last || q.Category == nil:
		return ""
	}
	return *q.Category
}

// choose returns the text of a query.
func (ns *namespace) choose(q server.Query) string {
	switch {
	case q.Stream != "" && q.Last:
		return ns.sql.readLast
	case q.Stream != "":
		return ns.sql.readStream
	case q.Last:
		return ns.sql.readAllLast
	case q.Category == nil || *q.Category == "":
		return ns.sql.readAll
	}
	return ns.sql.readCategory
}

var rows = sync.Pool{New: func() any { return new(row) }}

// row is a message and the memory its parts are in.
type row struct {
	server.Message
	buf    []byte
	before int  // bytes of buf that all rows have in common
	named  bool // each row names its stream
}

// begin keeps the name of the stream if the rows are all of one.
func (r *row) begin(q server.Query) {
	r.buf = append(r.buf[:0], q.Stream...)
	r.Stream, r.before, r.named = r.buf, len(r.buf), q.Stream == ""
}

// scan reads the columns of the current row.
func (r *row) scan(stmt *sqlite.Stmt) {
	r.buf = r.buf[:r.before]
	stmt.ColumnBytes(0, r.ID[:])
	r.Type = r.column(stmt, 1)
	r.Position = server.Position{Position: stmt.ColumnInt64(2), GlobalPosition: stmt.ColumnInt64(3)}
	r.Data = r.column(stmt, 4)
	if r.Metadata = r.column(stmt, 5); len(r.Metadata) == 0 {
		r.Metadata = nil // it is NULL: there is no JSON of no length
	}
	r.Time = fromNanos(stmt.ColumnInt64(6))
	if r.named {
		r.Stream = r.column(stmt, 7)
	}
}

// column copies a column behind those copied before.
func (r *row) column(stmt *sqlite.Stmt, col int) []byte {
	begin := len(r.buf)
	n := stmt.ColumnBytes(col, r.buf[begin:cap(r.buf)])
	if begin+n == cap(r.buf) { // there may be more of it
		n = stmt.ColumnLen(col)
		r.buf = slices.Grow(r.buf, n+1)
		stmt.ColumnBytes(col, r.buf[begin:begin+n])
	}
	r.buf = r.buf[:begin+n]
	return r.buf[begin : begin+n : begin+n]
}
