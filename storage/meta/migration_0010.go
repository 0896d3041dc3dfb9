package meta

import "fmt"

// operationsUp adds what operators ask across tenants (indexes), and what they do: attempts at tasks, lanes that are
// paused, work on many files at once.
//
// Each index of assets and blobs is paid for by every upload. What a blob is asked for (scan, media, signature) leads to its
// assets by (tenant_id, sha256), so these indexes carry the blob's key and need no look at its row.
func operationsUp(d Dialect) []string {
	out := []string{
		`CREATE INDEX assets_all_state ON assets (state, id)`,
		`CREATE INDEX assets_all_category ON assets (category, id)`,
		`CREATE INDEX assets_digest ON assets (sha256, id)`,
		`CREATE INDEX blobs_status ON blobs (scan_status, media_status, category, tenant_id, sha256)`,
		dropIndex(d, "blobs_media", "blobs"),
		// The way from a blob to its assets, with what lists ask of them.
		`CREATE INDEX assets_blob_key ON assets (tenant_id, sha256, id, state, category)`,
		dropIndex(d, "assets_blob", "assets"),

		`CREATE TABLE task_attempts (
			id {id} PRIMARY KEY,
			task_id {id} NOT NULL,
			tenant_id {id} NOT NULL,
			attempt integer NOT NULL,
			worker varchar(64) NOT NULL,
			started_at bigint NOT NULL DEFAULT 0,
			ended_at bigint NOT NULL,
			outcome varchar(16) NOT NULL,
			problem {text} NOT NULL
		){table}`,
		`CREATE INDEX task_attempts_task ON task_attempts (task_id, id)`,
		`CREATE INDEX task_attempts_tenant ON task_attempts (tenant_id, id)`,
		`CREATE INDEX tasks_lane ON tasks (lane, state, rung_at, run_at)`,
		`CREATE INDEX tasks_state ON tasks (state, id)`,
		`CREATE INDEX tasks_kind ON tasks (kind, id)`,
		`CREATE INDEX tasks_tenant ON tasks (tenant_id, id)`,
		`CREATE INDEX tasks_about ON tasks (subject, id)`,
		`CREATE INDEX tasks_rate ON tasks (finished_at, lane, state)`,
		dropIndex(d, "tasks_finished", "tasks"), // the one before begins with its column

		`CREATE TABLE lanes (
			name varchar(32) PRIMARY KEY,
			paused_at bigint NOT NULL DEFAULT 0,
			paused_by varchar(190) NOT NULL DEFAULT '',
			reason varchar(500) NOT NULL DEFAULT ''
		){table}`,

		`CREATE TABLE bulk_runs (
			id {id} PRIMARY KEY,
			tenant_id {id} NOT NULL DEFAULT '',
			action varchar(32) NOT NULL,
			filter {text} NOT NULL,
			reason varchar(500) NOT NULL,
			state varchar(16) NOT NULL,
			expected bigint NOT NULL,
			done bigint NOT NULL DEFAULT 0,
			unchanged bigint NOT NULL DEFAULT 0,
			failed bigint NOT NULL DEFAULT 0,
			cursor_at varchar(64) NOT NULL,
			floor_at varchar(64) NOT NULL,
			problem varchar(1000) NOT NULL DEFAULT '',
			actor_kind varchar(32) NOT NULL,
			actor_id varchar(190) NOT NULL,
			actor_role varchar(16) NOT NULL,
			request_id varchar(64) NOT NULL,
			address varchar(64) NOT NULL,
			user_agent varchar(255) NOT NULL,
			created_at bigint NOT NULL,
			updated_at bigint NOT NULL,
			finished_at bigint NOT NULL DEFAULT 0
		){table}`,
	}
	switch d {
	case Postgres:
		out = append(out, `CREATE INDEX blobs_signature ON blobs (scan_signature, tenant_id, sha256) WHERE scan_signature <> ''`,
			// The same index with the statuses: a list that asks each asset for its blob needs no look at the blob's row.
			`DROP INDEX blobs_bytes`, fmt.Sprintf(blobsBytes, ", scan_status, media_status"),
			// A keyword is found anywhere in a name by its groups of three letters. The extension comes with PostgreSQL, but may
			// not be installed, or not be ours to create: then the search is bounded instead (AssetSearch).
			`DO $$ BEGIN CREATE EXTENSION IF NOT EXISTS pg_trgm; EXCEPTION WHEN OTHERS THEN RAISE NOTICE 'no pg_trgm: %', SQLERRM; END $$`,
			`DO $$ BEGIN
				IF EXISTS (SELECT 1 FROM pg_opclass WHERE opcname = 'gin_trgm_ops' AND pg_opclass_is_visible(oid)) THEN
					CREATE INDEX assets_name_trgm ON assets USING gin (name_folded gin_trgm_ops);
				END IF;
			END $$`)
	case SQLite:
		out = append(out, `CREATE INDEX blobs_signature ON blobs (scan_signature, tenant_id, sha256) WHERE scan_signature <> ''`)
	case MySQL:
		out = append(out, `CREATE INDEX blobs_signature ON blobs (scan_signature, tenant_id, sha256)`)
	}
	return out
}

// blobsBytes is the index of migration 0005, and what more it includes.
const blobsBytes = `CREATE INDEX blobs_bytes ON blobs (tenant_id COLLATE "C", sha256 COLLATE "C")
	INCLUDE (size, zone, category, refs, sweeping, damage, revision%s)`

// operationsDown leaves the extension: others may use it by now.
func operationsDown(d Dialect) []string {
	var out []string
	if d == Postgres {
		out = append(out, `DROP INDEX IF EXISTS assets_name_trgm`, `DROP INDEX blobs_bytes`, fmt.Sprintf(blobsBytes, ""))
	}
	return append(out,
		"DROP TABLE bulk_runs", "DROP TABLE lanes", "DROP TABLE task_attempts",
		`CREATE INDEX tasks_finished ON tasks (finished_at)`,
		dropIndex(d, "tasks_rate", "tasks"), dropIndex(d, "tasks_about", "tasks"), dropIndex(d, "tasks_tenant", "tasks"),
		dropIndex(d, "tasks_kind", "tasks"), dropIndex(d, "tasks_state", "tasks"), dropIndex(d, "tasks_lane", "tasks"),
		`CREATE INDEX assets_blob ON assets (tenant_id, sha256)`, dropIndex(d, "assets_blob_key", "assets"),
		`CREATE INDEX blobs_media ON blobs (media_status)`,
		dropIndex(d, "blobs_signature", "blobs"), dropIndex(d, "blobs_status", "blobs"),
		dropIndex(d, "assets_digest", "assets"), dropIndex(d, "assets_all_category", "assets"), dropIndex(d, "assets_all_state", "assets"),
	)
}

// dropIndex is the statement that removes an index: MySQL wants to know of which table.
func dropIndex(d Dialect, index, table string) string {
	if d == MySQL {
		return "DROP INDEX " + index + " ON " + table
	}
	return "DROP INDEX " + index
}
