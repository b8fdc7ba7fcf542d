package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/eventobench/eventobench/server"
)

// TokenHash returns that of a namespace.
func (s *Store) TokenHash(ctx context.Context, name string) (hash server.TokenHash, err error) {
	if err := s.check(); err != nil {
		return hash, err
	}
	var stored []byte
	const query = "SELECT token_hash FROM eventobench.namespace WHERE sha256(name) = sha256($1)"
	err = s.pool.QueryRow(ctx, query, []byte(name)).Scan(&stored)
	if errors.Is(err, pgx.ErrNoRows) {
		return hash, server.NamespaceNotFound(name)
	}
	if err != nil {
		return hash, fmt.Errorf("reading the token hash of namespace %q: %w", name, err)
	}
	return tokenHash(stored)
}

func tokenHash(stored []byte) (hash server.TokenHash, err error) {
	if copy(hash[:], stored) != len(hash) || len(stored) != len(hash) {
		err = errors.New("a token hash is damaged")
	}
	return hash, err
}

// verify returns an error if the caller's token is no longer good, or the store
// is closed. Calls on the caller's own namespace check the token themselves.
func (s *Store) verify(ctx context.Context, namespace string) error {
	if err := s.check(); err != nil {
		return err
	}
	caller, ok := server.CallerOf(ctx)
	if !ok || caller.Namespace == namespace {
		return nil
	}
	_, _, err := s.Epoch(ctx, caller.Namespace)
	return err
}

// CreateNamespace adds a namespace.
func (s *Store) CreateNamespace(ctx context.Context, n server.Namespace) error {
	if err := s.verify(ctx, n.Name); err != nil {
		return err
	}
	const insert = "INSERT INTO eventobench.namespace (name, description, token_hash, created) VALUES ($1, $2, $3, $4)"
	_, err := s.pool.Exec(ctx, insert, []byte(n.Name), []byte(n.Description), n.TokenHash[:], n.Created.UnixNano())
	var refused *pgconn.PgError
	const uniqueViolation = "23505"
	if errors.As(err, &refused) && refused.Code == uniqueViolation {
		return server.NamespaceExists(n.Name)
	}
	if err != nil {
		return fmt.Errorf("creating namespace %q: %w", n.Name, err)
	}
	return nil
}

// DeleteNamespace removes a namespace. Its messages can no longer be found, and
// are removed later.
func (s *Store) DeleteNamespace(ctx context.Context, name string) (messages int64, err error) {
	if err := s.verify(ctx, name); err != nil {
		return 0, err
	}
	const remove = "WITH gone AS (DELETE FROM eventobench.namespace n " + ofNamespace +
		" RETURNING name, epoch, messages), " +
		"kept AS (INSERT INTO eventobench.retired (epoch) SELECT epoch FROM gone) " +
		"SELECT messages, eventobench.notify($3, 'deleted', name, '') FROM gone"
	err = s.one(ctx, name, remove, []any{s.id}, &messages, nil)
	return messages, err
}

const aboutNamespace = "SELECT n.name, n.description, n.token_hash, n.created, n.messages, n.streams, " +
	"(SELECT time FROM eventobench.message m WHERE m.epoch = n.epoch ORDER BY m.gpos DESC LIMIT 1) " +
	"FROM eventobench.namespace n "

// namespaceColumns are what aboutNamespace selects.
type namespaceColumns struct {
	name, description, tokenHash []byte
	created, messages, streams   int64
	lastActivity                 *int64
}

func (c *namespaceColumns) targets() []any {
	return []any{&c.name, &c.description, &c.tokenHash, &c.created, &c.messages, &c.streams, &c.lastActivity}
}

func (c *namespaceColumns) namespace() (server.Namespace, error) {
	hash, err := tokenHash(c.tokenHash)
	return server.Namespace{
		Name: string(c.name), Description: string(c.description), TokenHash: hash, Created: fromNanos(c.created),
	}, err
}

func (c *namespaceColumns) stats() server.NamespaceStats {
	stats := server.NamespaceStats{Messages: c.messages, Streams: c.streams}
	if c.lastActivity != nil {
		stats.LastActivity = fromNanos(*c.lastActivity)
	}
	return stats
}

// Namespaces returns all namespaces by name.
func (s *Store) Namespaces(ctx context.Context) (found []server.Namespace, err error) {
	if err := s.verify(ctx, ""); err != nil {
		return nil, err
	}
	err = s.each(ctx, aboutNamespace+"ORDER BY n.name", nil, func(rows pgx.Rows) error {
		var c namespaceColumns
		if err := rows.Scan(c.targets()...); err != nil {
			return err
		}
		n, err := c.namespace()
		found = append(found, n)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the namespaces: %w", err)
	}
	return found, nil
}

// Namespace returns one namespace and what it holds.
func (s *Store) Namespace(ctx context.Context, name string) (server.Namespace, server.NamespaceStats, error) {
	if err := s.verify(ctx, name); err != nil {
		return server.Namespace{}, server.NamespaceStats{}, err
	}
	var c namespaceColumns
	if err := s.one(ctx, name, aboutNamespace+ofNamespace, nil, c.targets()...); err != nil {
		return server.Namespace{}, server.NamespaceStats{}, err
	}
	n, err := c.namespace()
	return n, c.stats(), err
}

// each runs a query and do with every row.
func (s *Store) each(ctx context.Context, query string, args []any, do func(pgx.Rows) error) error {
	rows, err := s.pool.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := do(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// listStreams orders by the head of the names, which has an index, and then by
// the names.
const listStreams = "SELECT s.name, s.version, " +
	"(SELECT time FROM eventobench.message WHERE stream = s.id AND pos = s.version) " +
	"FROM eventobench.stream s " +
	"WHERE s.epoch = (SELECT n.epoch FROM eventobench.namespace n " + ofNamespace + ") " +
	"AND substring(s.name, 1, 1024) >= substring($3::bytea, 1, 1024) AND s.name >= $3 " +
	"AND substring(s.name, 1, 1024) <= substring($4::bytea, 1, 1024) AND s.name < $4 " +
	"ORDER BY s.epoch, substring(s.name, 1, 1024), s.name LIMIT $5"

// Streams lists streams of a namespace by name.
func (s *Store) Streams(ctx context.Context, name string, q server.StreamQuery) (all []server.StreamInfo, err error) {
	from, to := nameRange(q)
	err = s.list(ctx, name, listStreams, []any{from, to, q.Limit}, func(rows pgx.Rows) error {
		var stream []byte
		var version, last int64
		err := rows.Scan(&stream, &version, &last)
		info := server.StreamInfo{Name: string(stream), Version: version, LastActivity: fromNanos(last)}
		all = append(all, info)
		return err
	})
	return all, err
}

// nameRange is the first name of a query, and the first one behind its last.
func nameRange(q server.StreamQuery) (from, to []byte) {
	from = []byte(q.Prefix)
	if q.After != "" {
		from = []byte(max(q.Prefix, q.After+"\x00")) // no name lies between
	}
	if q.Prefix == "" {
		return from, []byte{0xff} // behind all UTF-8
	}
	to = []byte(q.Prefix)
	to[len(to)-1]++ // UTF-8 has no byte 0xff: there is no carry
	return from, to
}

const listCategories = "SELECT c.name, s.streams, s.messages FROM eventobench.category c CROSS JOIN LATERAL " +
	"(SELECT count(*) AS streams, sum(messages)::bigint AS messages FROM eventobench.stream WHERE category = c.id) AS s " +
	"WHERE c.epoch = (SELECT n.epoch FROM eventobench.namespace n " + ofNamespace + ") ORDER BY c.name"

// Categories lists the categories of a namespace by name.
func (s *Store) Categories(ctx context.Context, name string) (all []server.CategoryInfo, err error) {
	err = s.list(ctx, name, listCategories, nil, func(rows pgx.Rows) error {
		var category []byte
		var info server.CategoryInfo
		err := rows.Scan(&category, &info.StreamCount, &info.MessageCount)
		info.Category = string(category)
		all = append(all, info)
		return err
	})
	return all, err
}

// list runs a query for a namespace, whose first two parameters are those of
// ofNamespace, and do with every row. None may mean that there is no namespace.
func (s *Store) list(ctx context.Context, name, query string, args []any, do func(pgx.Rows) error) error {
	if err := s.check(); err != nil {
		return err
	}
	none := true
	args = append([]any{[]byte(name), callerHash(ctx, name)}, args...)
	err := s.each(ctx, query, args, func(rows pgx.Rows) error {
		none = false
		return do(rows)
	})
	if err != nil {
		return fmt.Errorf("listing what namespace %q holds: %w", name, err)
	}
	if none {
		_, _, err = s.Epoch(ctx, name)
	}
	return err
}
