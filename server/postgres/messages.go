package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/eventobench/eventobench/server"
)

// callerHash is the token hash that the namespace must have for the caller, or
// nil for any.
func callerHash(ctx context.Context, namespace string) []byte {
	caller, ok := server.CallerOf(ctx)
	if !ok || caller.Namespace != namespace {
		return nil
	}
	return caller.TokenHash[:]
}

// Messages are read page by page, each in a statement of its own, so that one who
// stops reading leaves little to be thrown away, and a large answer is never in
// memory whole. A page ends with the message that makes it larger than pageBytes.
// The rows of an epoch stay when it is retired meanwhile, and are found by its
// number.
const (
	pageRows  = 256
	pageBytes = 128 << 10
)

// Parameters of the statements that read: $1 namespace, $2 its token hash or null,
// $3 epoch it must have or 0, $4 epoch that is read on or 0, $5 stream or category,
// $6 position, $7 global position, $8 type, $9 rows, $10 bytes.
const (
	epochRead = `(SELECT CASE WHEN $4::bigint <> 0 THEN coalesce(
		(SELECT epoch FROM eventobench.namespace WHERE epoch = $4), (SELECT epoch FROM eventobench.retired WHERE epoch = $4))
	ELSE (SELECT epoch FROM eventobench.namespace WHERE sha256(name) = sha256($1)
		AND ($2::bytea IS NULL OR token_hash = $2) AND ($3::bigint = 0 OR epoch = $3)) END)`
	streamRead   = `(SELECT id FROM eventobench.stream WHERE epoch = ` + epochRead + ` AND sha256(name) = sha256($5))`
	categoryRead = `(SELECT id FROM eventobench.category WHERE epoch = ` + epochRead + ` AND sha256(name) = sha256($5))`
	ofType       = `($8::bytea = '' OR type = $8)`
)

var (
	readStream   = page("stream = "+streamRead+" AND pos >= $6 AND gpos >= $7", "pos")
	readLast     = page("stream = "+streamRead+" AND "+ofType, "pos DESC")
	readCategory = page("category = "+categoryRead+" AND gpos >= $7", "gpos")
	readAll      = page("epoch = "+epochRead+" AND gpos >= $7", "gpos")
	readAllLast  = page("epoch = "+epochRead+" AND "+ofType, "gpos DESC")
)

// page is the statement for a page of messages.
func page(where, order string) string {
	return `WITH unused AS (SELECT $1::bytea, $2::bytea, $3::bigint, $5::bytea, $6::bigint, $7::bigint, $8::bytea)
SELECT p.id, (SELECT name FROM eventobench.stream WHERE id = p.stream), p.type, p.pos, p.gpos,
	p.data, p.metadata, p.time, p.epoch
FROM (
	SELECT *, sum(octet_length(data) + coalesce(octet_length(metadata), 0))
		OVER (ORDER BY ` + order + ` ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
	FROM (SELECT * FROM eventobench.message WHERE ` + where + ` ORDER BY ` + order + ` LIMIT $9) AS m
) AS p
WHERE coalesce(p.before, 0) < $10
ORDER BY p.` + order
}

// Read yields the messages of a query. Filters that SQL does not know are applied
// row by row, so that the limit counts what is left.
func (s *Store) Read(ctx context.Context, name string, q server.Query, yield func(*server.Message) error) error {
	if err := s.check(); err != nil {
		return err
	}
	r := reader{store: s, namespace: name, query: q, yield: yield, left: q.Limit}
	r.text, r.of = statement(q)
	return r.read(ctx)
}

// statement is the text for a query, and the name that it looks for.
func statement(q server.Query) (text, of string) {
	switch {
	case q.Stream != "" && q.Last:
		return readLast, q.Stream
	case q.Stream != "":
		return readStream, q.Stream
	case q.Last:
		return readAllLast, ""
	case q.Category == nil || *q.Category == "":
		return readAll, ""
	}
	return readCategory, *q.Category
}

// reader is a query while it is read.
type reader struct {
	store     *Store
	namespace string
	query     server.Query // what comes next
	text, of  string
	yield     func(*server.Message) error
	left      int64 // messages to yield; negative for no limit
	epoch     int64 // that is read; 0 before the first message
	message   server.Message
}

func (r *reader) read(ctx context.Context) error {
	for r.left != 0 {
		more, err := r.page(ctx)
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// page yields a page. There may be more if it is full.
func (r *reader) page(ctx context.Context) (more bool, err error) {
	want := int64(pageRows)
	if r.left > 0 && r.query.Group == nil && r.query.Correlation == "" {
		want = min(want, r.left)
	}
	rows, err := r.store.pool.Query(ctx, r.text, []byte(r.namespace), callerHash(ctx, r.namespace), r.query.Epoch, r.epoch,
		[]byte(r.of), r.query.Position, r.query.GlobalPosition, []byte(r.query.Type), want, int64(pageBytes))
	if err != nil {
		return false, fmt.Errorf("reading messages: %w", err)
	}
	defer rows.Close()
	n, size, err := r.rows(rows)
	if err != nil {
		return false, err
	}
	if err := rows.Err(); err != nil {
		return false, fmt.Errorf("reading messages: %w", err)
	}
	if n == 0 {
		return false, r.explainNone(ctx)
	}
	return (n == want || size >= pageBytes) && !r.query.Last, nil
}

// rows yields the rows of a page, and counts them and their bytes as the
// statement does.
func (r *reader) rows(rows pgx.Rows) (n, size int64, err error) {
	m := &r.message
	var nanos int64
	columns := []any{
		(*[16]byte)(&m.ID), (*pgtype.DriverBytes)(&m.Stream), (*pgtype.DriverBytes)(&m.Type), &m.Position.Position,
		&m.GlobalPosition, (*pgtype.DriverBytes)(&m.Data), (*pgtype.DriverBytes)(&m.Metadata), &nanos, &m.Epoch,
	}
	for rows.Next() && r.left != 0 {
		if err := rows.Scan(columns...); err != nil {
			return n, size, fmt.Errorf("reading a message: %w", err)
		}
		m.Time = fromNanos(nanos)
		n++
		size += int64(len(m.Data) + len(m.Metadata))
		r.moveBehind()
		if !r.wants() {
			continue
		}
		if err := r.yield(m); err != nil {
			return n, size, err
		}
		r.left--
	}
	return n, size, nil
}

func (r *reader) moveBehind() {
	r.epoch = r.message.Epoch
	if r.query.Stream != "" {
		r.query.Position = r.message.Position.Position + 1
	} else {
		r.query.GlobalPosition = r.message.GlobalPosition + 1
	}
}

// wants reports whether a row passes the filters that SQL does not know.
func (r *reader) wants() bool {
	if r.query.Group != nil && !r.query.Group.Has(string(r.message.Stream)) {
		return false
	}
	return server.Correlates(r.message.Metadata, r.query.Correlation)
}

// explainNone returns the error, if there is one, for which no messages were
// found.
func (r *reader) explainNone(ctx context.Context) error {
	if r.epoch != 0 {
		return r.explainEnd(ctx)
	}
	epoch, _, err := r.store.Epoch(ctx, r.namespace)
	if err == nil && r.query.Epoch != 0 && r.query.Epoch != epoch {
		err = server.Replaced(r.namespace)
	}
	return err
}

// explainEnd tells the end of an epoch from one that was removed while it was
// read, which took longer than retention.
func (r *reader) explainEnd(ctx context.Context) error {
	var there bool
	err := r.store.pool.QueryRow(ctx, "SELECT EXISTS (SELECT FROM eventobench.namespace WHERE epoch = $1) "+
		"OR EXISTS (SELECT FROM eventobench.retired WHERE epoch = $1)", r.epoch).Scan(&there)
	if err == nil && !there {
		err = server.Replaced(r.namespace)
	}
	return err
}

const ofNamespace = "WHERE sha256(n.name) = sha256($1) AND ($2::bytea IS NULL OR n.token_hash = $2)"

// Epoch returns the epoch that a namespace has, and where what has replaced its
// messages ends.
func (s *Store) Epoch(ctx context.Context, name string) (epoch, end int64, err error) {
	const query = "SELECT n.epoch, n.replaced FROM eventobench.namespace n " + ofNamespace
	err = s.one(ctx, name, query, nil, &epoch, &end)
	return epoch, end, err
}

// Version returns the position of a stream's last message.
func (s *Store) Version(ctx context.Context, name, stream string) (version int64, err error) {
	err = s.one(ctx, name, "SELECT coalesce((SELECT version FROM eventobench.stream WHERE epoch = n.epoch "+
		"AND sha256(name) = sha256($3)), -1) FROM eventobench.namespace n "+ofNamespace, []any{[]byte(stream)}, &version)
	return version, err
}

// one reads one row of a namespace. The first two parameters of the query are
// those of ofNamespace.
func (s *Store) one(ctx context.Context, name, query string, args []any, columns ...any) error {
	if err := s.check(); err != nil {
		return err
	}
	args = append([]any{[]byte(name), callerHash(ctx, name)}, args...)
	err := s.pool.QueryRow(ctx, query, args...).Scan(columns...)
	if errors.Is(err, pgx.ErrNoRows) {
		return server.NamespaceNotFound(name)
	}
	if err != nil {
		return fmt.Errorf("reading namespace %q: %w", name, err)
	}
	return nil
}
