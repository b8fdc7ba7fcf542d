package postgres

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

//go:embed schema.sql
var schema string

// addReplaced adds the global position behind the messages that have replaced others.
const addReplaced = "ALTER TABLE eventobench.namespace ADD COLUMN replaced bigint NOT NULL DEFAULT 0; " +
	"UPDATE eventobench.schema_version SET version = 2"

// migrations lead from each version of the schema to the next, beginning with
// the one that creates it. Each records its version.
var migrations = []string{schema, addReplaced}

// migrationLock is held by the one server that changes the schema.
const migrationLock = 0x6576656e746f // "evento"

// migrate brings the schema to the version that this program knows.
func migrate(ctx context.Context, pool *pgxpool.Pool) error {
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", int64(migrationLock)); err != nil {
			return err
		}
		version, err := schemaVersion(ctx, tx)
		if err != nil {
			return fmt.Errorf("reading the version of the schema: %w", err)
		}
		if version > len(migrations) {
			return fmt.Errorf("its schema has version %d, and this program knows none above %d; "+
				"use a newer eventobench, or another database", version, len(migrations))
		}
		for ; version < len(migrations); version++ {
			if _, err := tx.Exec(ctx, migrations[version]); err != nil {
				return fmt.Errorf("bringing the schema to version %d: %w", version+1, err)
			}
		}
		return nil
	})
}

// schemaVersion is 0 if there is no schema.
func schemaVersion(ctx context.Context, tx pgx.Tx) (version int, err error) {
	var there bool
	err = tx.QueryRow(ctx, "SELECT to_regclass('eventobench.schema_version') IS NOT NULL").Scan(&there)
	if err != nil || !there {
		return 0, err
	}
	err = tx.QueryRow(ctx, "SELECT version FROM eventobench.schema_version").Scan(&version)
	return version, err
}
