package sqlite

import (
	"context"
	"fmt"
	"maps"
	"sync"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/eventobench/eventobench/server"
)

// tally is how many messages of each category there are up to a global
// position.
type tally struct {
	upTo       int64
	byCategory map[int64]int64
}

func (t tally) total() (messages int64) {
	for _, n := range t.byCategory {
		messages += n
	}
	return messages
}

// counter remembers the last tally of a namespace, so that the next one counts
// only what was written since. Writes cost it nothing; an import may add
// messages below, and resets it.
type counter struct {
	mu     sync.Mutex
	last   tally
	resets int
}

func (c *counter) get() (last tally, resets int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last, c.resets
}

// put remembers a tally unless the counter was reset while it was made.
func (c *counter) put(t tally, resets int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.resets == resets && t.upTo > c.last.upTo {
		c.last = t
	}
}

func (c *counter) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = tally{}
	c.resets++
}

// tally counts the messages there are.
func (ns *namespace) tally(conn *sqlite.Conn) (tally, error) {
	last, resets := ns.counts.get()
	t := tally{upTo: last.upTo, byCategory: maps.Clone(last.byCategory)}
	query, args := ns.sql.countNew, []any{last.upTo}
	if last.byCategory == nil {
		t.byCategory = map[int64]int64{}
		query, args = ns.sql.countAll, nil
	}
	err := sqlitex.Execute(conn, query, &sqlitex.ExecOptions{Args: args, ResultFunc: func(stmt *sqlite.Stmt) error {
		t.byCategory[stmt.ColumnInt64(0)] += stmt.ColumnInt64(1)
		t.upTo = max(t.upTo, stmt.ColumnInt64(2))
		return nil
	}})
	if err != nil {
		return tally{}, fmt.Errorf("counting messages: %w", err)
	}
	ns.counts.put(t, resets)
	return t, nil
}

// stats counts what the namespace holds. Streams are numbered without gaps and
// never removed: the last number is their count.
func (ns *namespace) stats(conn *sqlite.Conn) (stats server.NamespaceStats, err error) {
	err = seeOne(conn, func() error {
		t, err := ns.tally(conn)
		if err != nil {
			return err
		}
		stats.Messages = t.total()
		return sqlitex.Execute(conn, ns.sql.stats, &sqlitex.ExecOptions{ResultFunc: func(stmt *sqlite.Stmt) error {
			stats.Streams = stmt.ColumnInt64(0)
			if !stmt.ColumnIsNull(1) {
				stats.LastActivity = fromNanos(stmt.ColumnInt64(1))
			}
			return nil
		}})
	})
	if err != nil {
		return stats, fmt.Errorf("counting what a namespace holds: %w", err)
	}
	return stats, nil
}

// Streams lists streams of a namespace by name.
func (s *Store) Streams(ctx context.Context, name string, q server.StreamQuery) ([]server.StreamInfo, error) {
	var streams []server.StreamInfo
	from, to := nameRange(q)
	add := func(stmt *sqlite.Stmt) error {
		streams = append(streams, server.StreamInfo{
			Name: stmt.ColumnText(0), Version: stmt.ColumnInt64(1), LastActivity: fromNanos(stmt.ColumnInt64(2)),
		})
		return nil
	}
	err := s.view(ctx, name, func(ns *namespace, conn *sqlite.Conn) error {
		o := sqlitex.ExecOptions{Args: []any{from, to, q.Limit}, ResultFunc: add}
		return sqlitex.Execute(conn, ns.sql.listStreams, &o)
	})
	if err != nil {
		return nil, fmt.Errorf("listing streams: %w", err)
	}
	return streams, nil
}

// nameRange is the first name of a query, and the first one behind its last.
func nameRange(q server.StreamQuery) (from, to string) {
	from = q.Prefix
	if q.After != "" {
		from = max(from, q.After+"\x00") // no name lies between
	}
	if q.Prefix == "" {
		return from, "\xff" // behind all UTF-8
	}
	end := []byte(q.Prefix)
	end[len(end)-1]++ // UTF-8 has no byte 0xff: there is no carry
	return from, string(end)
}

// Categories lists the categories of a namespace by name.
func (s *Store) Categories(ctx context.Context, name string) (categories []server.CategoryInfo, err error) {
	err = s.view(ctx, name, func(ns *namespace, conn *sqlite.Conn) error {
		return seeOne(conn, func() (err error) {
			categories, err = ns.listCategories(conn)
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("listing categories: %w", err)
	}
	return categories, nil
}

func (ns *namespace) listCategories(conn *sqlite.Conn) (categories []server.CategoryInfo, err error) {
	t, err := ns.tally(conn)
	if err != nil {
		return nil, err
	}
	add := func(stmt *sqlite.Stmt) error {
		categories = append(categories, server.CategoryInfo{
			Category: stmt.ColumnText(0), StreamCount: stmt.ColumnInt64(1),
			MessageCount: t.byCategory[stmt.ColumnInt64(2)],
		})
		return nil
	}
	err = sqlitex.Execute(conn, ns.sql.listCategories, &sqlitex.ExecOptions{ResultFunc: add})
	return categories, err
}
