// Package postgres keeps the event store's messages in a PostgreSQL database,
// which several servers may use at the same time.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/eventobench/eventobench/server"
)

// Store is a server.SharedStore over one PostgreSQL database. The database is
// its only memory: nothing of what other servers may change is kept here.
type Store struct {
	pool  *pgxpool.Pool
	batch *batcher // nil if every write has a transaction of its own
	id    int64    // tells its own notifications from those of other servers

	mu      sync.Mutex      // held while ctx is canceled, and while running grows
	ctx     context.Context // until the store is closed
	cancel  context.CancelFunc
	running sync.WaitGroup // what Close must wait for, beside what uses the pool
}

var _ server.SharedStore = (*Store)(nil)

var errClosed = errors.New("the store is closed")

// DefaultPool is how many connections the pool has at most if nothing says so: 4, or
// as many as there are CPUs. More have shown nothing (docs/next-steps.md).
func DefaultPool() int { return max(4, runtime.GOMAXPROCS(0)) }

// Options say how a store uses its database. The zero value is the fastest.
type Options struct {
	Pool    int  // connections at most; 0 for pool_max_conns of the URL, or else DefaultPool
	NoBatch bool // give every write a transaction of its own
}

// Open opens the store in the database at url, whose schema it creates or brings
// up to date.
func Open(ctx context.Context, url string, o Options) (*Store, error) {
	config, err := parseConfig(url, o.Pool)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("opening the PostgreSQL store: %w", err)
	}
	if err := migrate(ctx, pool); err != nil {
		pool.Close()
		return nil, fmt.Errorf("opening the PostgreSQL store in database %q: %w", config.ConnConfig.Database, err)
	}
	s := &Store{pool: pool, id: rand.Int64()}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if !o.NoBatch {
		s.batch = newBatcher(s)
	}
	s.running.Go(s.sweepAlways)
	return s, nil
}

// parseConfig reads the URL. A statement is prepared once per connection, and
// planned once: every one has its index, whatever the statistics of the tables
// say, which are none while they are new.
func parseConfig(url string, pool int) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("the URL of the PostgreSQL store is not valid: %w", err)
	}
	if pool == 0 && !strings.Contains(url, "pool_max_conns=") {
		pool = DefaultPool()
	}
	if pool != 0 {
		config.MaxConns = int32(min(pool, math.MaxInt32))
		config.MinConns = min(config.MinConns, config.MaxConns)
	}
	config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheStatement
	for name, value := range map[string]string{
		"plan_cache_mode":               "force_generic_plan",
		"enable_seqscan":                "off",
		"enable_bitmapscan":             "off",
		"enable_sort":                   "off",
		"jit":                           "off",
		"default_transaction_isolation": "read committed", // who waited for a lock sees what was written meanwhile
	} {
		config.ConnConfig.RuntimeParams[name] = value
	}
	return config, nil
}

// Backend names the kind of store.
func (s *Store) Backend() string { return "postgres" }

// Close waits for the calls in progress and closes all connections. Closing a
// store again does nothing.
func (s *Store) Close() error {
	s.mu.Lock()
	s.cancel()
	s.mu.Unlock()
	s.running.Wait()
	s.pool.Close()
	return nil
}

// check returns the error of a call that came after Close.
func (s *Store) check() error {
	if s.ctx.Err() != nil {
		return errClosed
	}
	return nil
}

// begin makes Close wait until running is done.
func (s *Store) begin() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.check()
	if err == nil {
		s.running.Add(1)
	}
	return err
}

// retention is how long the rows of a retired epoch stay for those who were
// reading them when it was retired.
const retention = time.Minute

func (s *Store) sweepAlways() {
	ticker := time.NewTicker(retention)
	defer ticker.Stop()
	for {
		s.sweepAll()
		select {
		case <-ticker.C:
		case <-s.ctx.Done():
			return
		}
	}
}

// sweepAll removes what it can. What fails is left to the next time.
func (s *Store) sweepAll() {
	for {
		swept, err := s.sweep(s.ctx, retention)
		if err != nil || !swept {
			return
		}
	}
}

// sweep removes the rows of one epoch that was retired so long ago, unless
// another server is at it.
func (s *Store) sweep(ctx context.Context, retention time.Duration) (swept bool, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		var epoch int64
		err := tx.QueryRow(ctx, "DELETE FROM eventobench.retired WHERE epoch = (SELECT epoch FROM eventobench.retired "+
			"WHERE since <= now() - $1::bigint * interval '1 millisecond' LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING epoch",
			retention.Milliseconds()).Scan(&epoch)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		swept = true
		for _, table := range []string{"message", "stream", "category"} {
			if _, err := tx.Exec(ctx, "DELETE FROM eventobench."+table+" WHERE epoch = $1", epoch); err != nil {
				return err
			}
		}
		return nil
	})
	return swept, err
}

func fromNanos(n int64) time.Time { return time.Unix(0, n) }
