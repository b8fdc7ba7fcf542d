package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/eventobench/eventobench/profiles/subject"
	"github.com/eventobench/eventobench/server/postgres/cluster"
)

// throwaway is the --store of subjects whose PostgreSQL cluster lives as long as
// their experiment. A folder to make it in may follow a colon.
const throwaway = "postgres"

// database is where subjects with a --store in PostgreSQL keep their data, nil
// for any other store. Subjects of one process with the same store share it.
func database(store string) subject.Database {
	if d := databases[store]; d != nil {
		return d
	}
	kind, dir, _ := strings.Cut(store, ":")
	var d subject.Database
	switch {
	case isPostgres(store):
		d = &usersServer{url: store}
	case kind == throwaway:
		d = &throwawayCluster{dir: dir}
	default:
		return nil
	}
	databases[store] = d
	return d
}

// databases are those that were asked for, by their store.
var databases = map[string]subject.Database{}

// throwawayCluster is a cluster that starts with an experiment and ends with it.
type throwawayCluster struct {
	dir     string // in which its folder is made; empty for that of temporary files
	cluster *cluster.Cluster
}

func (t *throwawayCluster) Start(ctx context.Context) (err error) {
	t.cluster, err = cluster.Start(ctx, cluster.Options{
		Dir: t.dir, Settings: map[string]string{"max_connections": "500"}, // of all subjects together
	})
	return err
}

func (t *throwawayCluster) Create(ctx context.Context) (string, error) {
	return t.cluster.CreateDatabase(ctx)
}

// Drop leaves what it cannot drop to Stop, which removes the cluster.
func (t *throwawayCluster) Drop(url string) { _ = t.cluster.DropDatabase(context.Background(), url) }

func (t *throwawayCluster) PID() (int, error) { return t.cluster.PID(), nil }

func (t *throwawayCluster) Stop() error {
	if t.cluster == nil {
		return nil
	}
	return t.cluster.Stop()
}

// usersServer is a server that is running already. Only databases that were made
// here are touched. Their names begin with a number that this process holds as
// an advisory lock while it lives, so that a later run can tell which ones a
// process that was killed has left.
type usersServer struct {
	url string // of a database, to connect to

	mu     sync.Mutex // of what follows: subjects start and end at the same time
	conn   *pgx.Conn
	number int64
	made   []string // names of databases that are to be dropped
	count  int
}

const madeHere = "eventobench_run_"

func (u *usersServer) Start(ctx context.Context) (err error) {
	if u.conn, err = pgx.Connect(ctx, u.url); err != nil {
		return fmt.Errorf("connecting to the PostgreSQL server of --store: %w", err)
	}
	u.number = rand.Int64N(1 << 31)
	if _, err = u.conn.Exec(ctx, "SELECT pg_advisory_lock($1)", u.number); err != nil {
		return err
	}
	return u.dropLeft(ctx)
}

// dropLeft drops the databases of processes that were killed. Locks are seen
// whichever database they were taken in.
func (u *usersServer) dropLeft(ctx context.Context) error {
	const left = "SELECT datname FROM pg_database WHERE datname ~ '^" + madeHere + "[0-9]+_[0-9]+$' " +
		"AND pg_has_role(datdba, 'USAGE') AND NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' " +
		"AND objid::text = split_part(datname, '_', 3))"
	rows, err := u.conn.Query(ctx, left)
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	for _, name := range names {
		err = errors.Join(err, u.drop(ctx, name))
	}
	return err
}

func (u *usersServer) drop(ctx context.Context, name string) error {
	_, err := u.conn.Exec(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)")
	if err != nil {
		return fmt.Errorf("dropping database %s, which was made for measuring: %w", name, err)
	}
	return nil
}

func (u *usersServer) Create(ctx context.Context) (string, error) {
	at, err := url.Parse(u.url)
	if err != nil {
		return "", errors.New("the URL of the PostgreSQL server is not valid")
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.count++
	name := madeHere + strconv.FormatInt(u.number, 10) + "_" + strconv.Itoa(u.count)
	if _, err := u.conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()); err != nil {
		return "", fmt.Errorf("creating a database for measuring: %w; the user of --store needs CREATEDB, "+
			"or use --store=%s, which starts a server of its own", err, throwaway)
	}
	u.made = append(u.made, name)
	at.Path = "/" + name
	return at.String(), nil
}

// Drop leaves what it cannot drop to Stop, which tells of it.
func (u *usersServer) Drop(made string) {
	at, err := url.Parse(made)
	if err != nil {
		return
	}
	name := strings.TrimPrefix(at.Path, "/")
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.drop(context.Background(), name) == nil {
		u.made = slices.DeleteFunc(u.made, func(of string) bool { return of == name })
	}
}

func (u *usersServer) PID() (int, error) {
	return 0, errors.New("the database server was running already, and its processes are not known")
}

func (u *usersServer) Stop() (err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.conn == nil {
		return nil
	}
	ctx := context.Background()
	for _, name := range u.made {
		err = errors.Join(err, u.drop(ctx, name))
	}
	u.made = nil
	return errors.Join(err, u.conn.Close(ctx))
}
