package main

import (
	"fmt"
	"time"
)

// fillFiles are the statements that make assets, a blob of each, and tasks. What a file is follows from its number by a hash, so
// that no filter's matches lie side by side: 97 in 100 are clean, 1 infected, 0.5 unscannable and 1.5 pending (a third of these
// is scanned again and stays available); of pictures and videos that are clean some have failed; 2 in 100 are deleted.
func fillFiles(assets int, tenantOf func(string) string) []string {
	each := 20 * 24 * time.Hour.Microseconds() / int64(assets)
	return []string{
		// A number from 0 to 9,999 that has nothing to do with any other of the same file.
		`CREATE FUNCTION lot(i int, salt int) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT (abs(hashint8(i::bigint * 16 + salt)::bigint) % 10000)::int $$`,
		fmt.Sprintf(`CREATE UNLOGGED TABLE lots AS SELECT i, %d + i * %d::bigint AS at, %s AS tenant, lpad(to_hex((%d + i * %d::bigint) / 1000), 12, '0') AS ms,
			encode(sha256(i::text::bytea), 'hex') AS sha,
			CASE WHEN lot(i, 1) < 6000 THEN 'image' WHEN lot(i, 1) < 7000 THEN 'video' WHEN lot(i, 1) < 9900 THEN 'document' ELSE 'release' END AS category,
			CASE WHEN lot(i, 1) >= 9900 OR lot(i, 2) < 9700 THEN 'clean' WHEN lot(i, 2) < 9800 THEN 'infected' WHEN lot(i, 2) < 9850 THEN 'unscannable'
				ELSE 'pending' END AS scan FROM generate_series(1, %d) i`, adminBegin, each, tenantOf("i"), adminBegin, each, assets),
		`INSERT INTO blobs (tenant_id, sha256, size, media_type, category, zone, refs, sweeping, scan_status, scan_signature, scan_engine, scan_database,
				scan_bytes, scan_digest, scanned_at, media_status, media_error, damage, damaged_at, verified_at, revision, created_at, updated_at)
			SELECT tenant, sha, 1000 + i % 100000, 'application/octet-stream', category, CASE scan WHEN 'clean' THEN 'clean' ELSE 'quarantine' END, 1, false, scan,
				CASE scan WHEN 'infected' THEN 'Win.Test.Family-' || i % 40 ELSE '' END, 'ClamAV 1.4.2', 'daily 27500', 1000 + i % 100000, sha, at + 300000,
				CASE WHEN scan <> 'clean' OR category IN ('document', 'release') THEN 'none' WHEN lot(i, 3) < 100 OR category = 'video' AND lot(i, 3) < 500 THEN 'failed'
					WHEN lot(i, 3) < 550 THEN 'pending' WHEN lot(i, 3) < 600 THEN 'running' ELSE 'done' END, '',
				CASE WHEN lot(i, 4) < 2 THEN 'missing' ELSE '' END, CASE WHEN lot(i, 4) < 2 THEN at ELSE 0 END, at, 3, at, at FROM lots`,
		`INSERT INTO assets (id, tenant_id, sha256, name, name_folded, ext, category, media_type, size, state, duplicate, revision, created_at, updated_at, deleted_at)
			SELECT id, tenant, sha, name, lower(name), 'bin', category, 'application/octet-stream', 1000 + i % 100000, state, false, 1, at, at,
				CASE state WHEN 'deleted' THEN at ELSE 0 END FROM (SELECT *, ` + assetID + ` AS id,
				CASE WHEN lot(i, 5) < 200 THEN 'deleted' WHEN scan IN ('infected', 'unscannable') THEN 'rejected'
					WHEN scan = 'pending' AND lot(i, 6) < 6667 THEN 'quarantined' ELSE 'available' END AS state,
				(ARRAY['Report', 'Invoice', 'Photo', 'Scan', 'Contract', 'Meeting', 'Holiday', 'Backup', 'Drawing', 'Presentation'])[lot(i, 7) % 10 + 1] || ' ' ||
				CASE WHEN lot(i, 8) < 200 THEN 'archive' WHEN lot(i, 8) < 220 THEN 'leaflet' WHEN i % 200000 = 7 THEN 'zeppelin'
					ELSE (ARRAY['spring', 'summer', 'autumn', 'winter', 'north', 'south', 'east', 'west', 'draft', 'final'])[lot(i, 9) % 10 + 1] END || ' ' || i || '.bin'
				AS name FROM lots) f`,
		`INSERT INTO tasks (id, kind, lane, tenant_id, subject, state, attempts, run_at, last_error, progress, created_at, updated_at, finished_at)
			SELECT ` + assetID + `, kind, CASE kind WHEN 'sweep' THEN 'housekeeping' ELSE kind END, tenant, sha, state, 1, at, CASE state WHEN 'dead' THEN 'it broke' END, 1, at, at,
				CASE WHEN state IN ('done', 'dead', 'cancelled') THEN ` + fmt.Sprint("at + ", sinceBegin()) + ` ELSE 0 END
			FROM (SELECT *, CASE WHEN lot(i, 10) < 6000 THEN 'scan' WHEN lot(i, 10) < 9500 THEN 'image' WHEN lot(i, 10) < 9990 THEN 'video' ELSE 'sweep' END AS kind,
				CASE WHEN ` + fmt.Sprint(assets) + ` - i < 20 THEN 'running' WHEN ` + fmt.Sprint(assets) + ` - i < 5000 THEN 'queued' WHEN lot(i, 11) < 100 THEN 'dead'
					WHEN lot(i, 11) < 200 THEN 'cancelled' ELSE 'done' END AS state FROM lots) t`,
		`INSERT INTO events (tenant_id, asset_id, kind, data, at) SELECT tenant, ` + assetID + `, 'scanned', '{}', at FROM lots WHERE i % 10 = 0`,
		`DROP TABLE lots`, `DROP FUNCTION lot`,
	}
}

// assetID is an id of the time of a row in lots.
const assetID = `substr(ms, 1, 8) || '-' || substr(ms, 9, 4) || '-7000-a000-' || lpad(i::text, 12, '0')`

// sinceBegin is how many microseconds after the time of the rows it is: what was done last was done just now.
func sinceBegin() int64 { return time.Now().UnixMicro() - adminBegin - 20*24*time.Hour.Microseconds() }

// fillRest are the statements that make alerts, runs and what they found, keys and operators.
func fillRest() []string {
	const id = `'0190c0de-0000-7000-%s-' || lpad(i::text, 12, '0')`
	return []string{
		`INSERT INTO alerts (id, rule, subject, open_key, tenant_id, severity, message, data, opened_at, seen_at, closed_at)
			SELECT ` + fmt.Sprintf(id, "b000") + `, 'rule_' || i % 20, 'subject ' || i, CASE WHEN i % 400 = 0 THEN 'open ' || i END, ` +
			`CASE WHEN i % 10 = 0 THEN (SELECT id FROM tenants WHERE name = 'tenant 42') ELSE '' END,
				(ARRAY['info', 'warning', 'critical'])[i % 3 + 1], 'Something happened to number ' || i, '{}', i, i, CASE WHEN i % 400 = 0 THEN 0 ELSE i END
			FROM generate_series(1, 20050) i`,
		`INSERT INTO notices (id, alert_id, channel, event, body, next_at, created_at, ended_at)
			SELECT ` + fmt.Sprintf(id, "b100") + `, ` + fmt.Sprintf(id, "b000") + `, 'mail', 'open', '{}', 1, 1, 2 FROM generate_series(1, 20050) i`,
		`INSERT INTO reconcile_runs (id, kind, state, tenants, problem, findings, started_at, updated_at, finished_at)
			SELECT ` + fmt.Sprintf(id, "c000") + `, CASE WHEN i % 30 = 0 THEN 'full' ELSE 'light' END, CASE WHEN i % 50 = 0 THEN 'failed' ELSE 'done' END, '[]', '',
				CASE i WHEN 2000 THEN 200000 ELSE 0 END, i, i, i FROM generate_series(1, 2000) i`,
		`INSERT INTO reconcile_findings (id, run_id, tenant_id, kind, sha256, detail, repair, state, problem, found_at)
			SELECT ` + fmt.Sprintf(id, "d000") + `, '` + adminRun + `', (SELECT id FROM tenants WHERE name = 'tenant 42'),
				(ARRAY['object_without_row', 'row_without_object', 'size_differs', 'ledger_drift'])[CASE WHEN i % 1000 = 0 THEN 4 ELSE i % 3 + 1 END],
				encode(sha256(i::text::bytea), 'hex'), '', (ARRAY['trash', 'mark_damaged', ''])[i % 3 + 1],
				CASE WHEN i % 5000 = 0 THEN 'failed' WHEN i % 2 = 0 THEN 'repaired' ELSE 'open' END, '', i FROM generate_series(1, 200000) i`,
		`INSERT INTO bulk_runs (id, action, filter, reason, state, expected, cursor_at, floor_at, actor_kind, actor_id, actor_role, request_id, address, user_agent, created_at, updated_at)
			SELECT ` + fmt.Sprintf(id, "e000") + `, 'rescan', '{}', 'why', 'done', 10, '', '', 'operator', '` + adminOperator + `', 'ops', '', '', '', i, i
			FROM generate_series(1, 2000) i`,
		`INSERT INTO operators (id, name, role, state, created_at, updated_at)
			SELECT ` + fmt.Sprintf(id, "9000") + `, 'operator ' || i, 'ops', 'active', i, i FROM generate_series(1, 500) i`,
	}
}

// adminRun is the run that found much.
const adminRun = "0190c0de-0000-7000-c000-000000002000"
