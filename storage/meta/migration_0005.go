package meta

// reconcileUp adds the runs of the reconciliation and what they found, and to blobs what they found out.
func reconcileUp(d Dialect) []string {
	out := []string{
		`ALTER TABLE blobs ADD COLUMN damage varchar(16) NOT NULL DEFAULT ''`,
		`ALTER TABLE blobs ADD COLUMN damaged_at bigint NOT NULL DEFAULT 0`,
		`ALTER TABLE blobs ADD COLUMN verified_at bigint NOT NULL DEFAULT 0`,
		`CREATE INDEX blobs_damaged ON blobs (damaged_at)`,
		`CREATE INDEX blobs_verified ON blobs (verified_at, tenant_id, sha256)`,

		`CREATE TABLE reconcile_runs (
			id {id} PRIMARY KEY,
			kind varchar(16) NOT NULL,
			state varchar(16) NOT NULL,
			requested_by varchar(190) NOT NULL DEFAULT '',
			phase varchar(32) NOT NULL DEFAULT '',
			cursor_at varchar(255) NOT NULL DEFAULT '',
			tenants {text} NOT NULL,
			objects bigint NOT NULL DEFAULT 0,
			foreign_objects bigint NOT NULL DEFAULT 0,
			row_count bigint NOT NULL DEFAULT 0,
			findings bigint NOT NULL DEFAULT 0,
			planned bigint NOT NULL DEFAULT 0,
			repaired bigint NOT NULL DEFAULT 0,
			failed bigint NOT NULL DEFAULT 0,
			verified bigint NOT NULL DEFAULT 0,
			verified_bytes bigint NOT NULL DEFAULT 0,
			problem {text} NOT NULL,
			confirmed_by varchar(190) NOT NULL DEFAULT '',
			confirmed_at bigint NOT NULL DEFAULT 0,
			started_at bigint NOT NULL,
			updated_at bigint NOT NULL,
			finished_at bigint NOT NULL DEFAULT 0
		){table}`,
		`CREATE INDEX reconcile_runs_state ON reconcile_runs (state)`,

		`CREATE TABLE reconcile_findings (
			id {id} PRIMARY KEY,
			run_id {id} NOT NULL,
			tenant_id {id} NOT NULL,
			kind varchar(32) NOT NULL,
			zone varchar(16) NOT NULL DEFAULT '',
			sha256 {hash} NOT NULL DEFAULT '',
			preset varchar(64) NOT NULL DEFAULT '',
			object_key varchar(512) NOT NULL DEFAULT '',
			detail {text} NOT NULL,
			repair varchar(32) NOT NULL DEFAULT '',
			state varchar(16) NOT NULL,
			problem {text} NOT NULL,
			found_again {id} NOT NULL DEFAULT '',
			found_at bigint NOT NULL,
			ended_at bigint NOT NULL DEFAULT 0
		){table}`,
		`CREATE INDEX reconcile_findings_run ON reconcile_findings (run_id, id)`,
		`CREATE INDEX reconcile_findings_kind ON reconcile_findings (run_id, kind)`,
		`CREATE INDEX reconcile_findings_blob ON reconcile_findings (tenant_id, sha256)`,

		`CREATE TABLE reconcile_marks (
			tenant_id {id} PRIMARY KEY,
			mark varchar(255) NOT NULL
		){table}`,
	}
	if d == Postgres {
		// The comparison pages rows in the byte order of keys, whatever the collation of the database; the others are so anyway.
		out = append(out,
			// With all that it reads of a blob, as rows in this order lie at random in their table. A change of a blob is a
			// new entry in each index anyway: other indexes have columns that change (blobs_scan, blobs_media).
			`CREATE INDEX blobs_bytes ON blobs (tenant_id COLLATE "C", sha256 COLLATE "C")
				INCLUDE (size, zone, category, refs, sweeping, damage, revision)`,
			`CREATE INDEX variants_bytes ON variants (tenant_id COLLATE "C", sha256 COLLATE "C", preset COLLATE "C")`)
	}
	return out
}

func reconcileDown(d Dialect) []string {
	on := ""
	if d == MySQL {
		on = " ON blobs"
	}
	var out []string
	if d == Postgres {
		out = append(out, "DROP INDEX variants_bytes", "DROP INDEX blobs_bytes")
	}
	return append(out,
		"DROP TABLE reconcile_marks", "DROP TABLE reconcile_findings", "DROP TABLE reconcile_runs",
		"DROP INDEX blobs_verified"+on, "DROP INDEX blobs_damaged"+on,
		"ALTER TABLE blobs DROP COLUMN verified_at", "ALTER TABLE blobs DROP COLUMN damaged_at", "ALTER TABLE blobs DROP COLUMN damage",
	)
}
