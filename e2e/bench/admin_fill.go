package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"gatehouse/storage/meta"
)

// adminBegin is the time of the oldest rows: 2026-01-01, in microseconds.
const adminBegin = int64(1767225600000000)

// fillAdmin makes the rows. One tenant in two records is the first, which is large; the others share the rest. Half of the records
// are uploads, of which some are refused, nearly half verdicts; few are steps of operators.
func fillAdmin(c *console, db *meta.DB) {
	ctx := context.Background()
	share := min(c.share, 1)
	tenants, assets, records := int(adminTenants*share), int(adminAssets*share), int(adminRecords*share)
	const begin = adminBegin
	const id = `'0190c0de-0000-7000-8000-' || lpad((%s)::text, 12, '0')`
	tenantOf := func(i string) string {
		return fmt.Sprintf(id, fmt.Sprintf("CASE WHEN mod(%s, 2) = 0 THEN 1 ELSE mod(%s / 2, %d) END", i, i, tenants))
	}
	// An index that is made at the end is made in a tenth of the time.
	var indexes []struct{ Indexname, Indexdef string }
	c.must(db.InTx(ctx, func(tx *meta.Tx) error {
		_, err := tx.Scan(&indexes, `SELECT indexname, indexdef FROM pg_indexes WHERE tablename IN ('assets', 'blobs', 'tasks', 'audit_log') AND indexdef NOT LIKE 'CREATE UNIQUE%'`)
		return err
	}))
	for _, x := range indexes {
		_, err := db.Exec(ctx, "DROP INDEX "+x.Indexname)
		c.must(err)
	}
	statements := []string{
		`INSERT INTO plans (name, storage_bytes, spec, updated_at) VALUES ('bench', 1000000000, '{}', 1)`,
		fmt.Sprintf(`INSERT INTO tenants (id, name, plan, state, used_bytes, used_files, created_at, updated_at)
			SELECT `+fmt.Sprintf(id, "i")+`, 'tenant ' || i, 'bench', CASE WHEN i %% 50 = 0 THEN 'suspended' ELSE 'active' END, (i::bigint * 7919) %% 1000000000,
				%d, %d + i, 1 FROM generate_series(0, %d) i`, assets/tenants, begin, tenants-1),
		`INSERT INTO api_keys (id, tenant_id, name, hash, scopes, created_at)
			SELECT gen_random_uuid(), id, 'key', encode(sha256(id::bytea), 'hex'), 'read,write', 1 FROM tenants`,
		// Twenty days of records, in the order of their numbers.
		fmt.Sprintf(`INSERT INTO audit_log (at, actor_kind, actor_id, actor_role, tenant_id, action, target, result, code, request_id, address, user_agent, data)
			SELECT %d + i * %d::bigint, kind, CASE kind WHEN 'worker' THEN '' WHEN 'key' THEN 'key' || i %% %d ELSE '%s' END,
				CASE kind WHEN 'operator' THEN CASE WHEN i %% 3 = 0 THEN 'super' ELSE 'ops' END ELSE '' END, `+tenantOf("i / 2")+`,
				CASE kind WHEN 'worker' THEN CASE WHEN i %% 1999 = 0 THEN 'asset.delete' ELSE 'scan.verdict' END WHEN 'key' THEN 'asset.upload'
					ELSE (ARRAY['tenant.suspend', 'tenant.resume', 'key.create', 'key.revoke', 'plan.set'])[i / 100 %% 5 + 1] END,
				'target' || i / 2, CASE WHEN kind = 'key' AND i %% 20 = 0 THEN 'refused' ELSE 'ok' END,
				CASE WHEN kind = 'key' AND i %% 20 = 0 THEN (ARRAY['TYPE_MISMATCH', 'QUOTA_EXCEEDED', 'FILE_TOO_LARGE'])[i / 20 %% 3 + 1] ELSE '' END,
				CASE kind WHEN 'worker' THEN '' ELSE 'r' || i END, CASE kind WHEN 'worker' THEN '' ELSE '10.0.' || i / 256 %% 16 || '.' || i %% 256 END, '',
				CASE kind WHEN 'worker' THEN '{"status":"clean"}' ELSE '{"size":1000,"name":"file.txt"}' END
			FROM (SELECT i, CASE WHEN i %% 100 = 99 THEN 'operator' WHEN i %% 2 = 1 THEN 'worker' ELSE 'key' END AS kind FROM generate_series(1, %d) i) r`,
			begin, 20*24*time.Hour.Microseconds()/int64(records), tenants, adminOperator, records),
		// Counters of thirty days up to now, as a busy platform has.
		fmt.Sprintf(`INSERT INTO stat_hours (hour, metric, label, n) SELECT h, m, l::text, 10 FROM generate_series(%d, %d) h,
			(VALUES ('uploads', 2), ('upload_bytes', 2), ('refusals', 20), ('verdicts', 3), ('deletes', 3)) x(m, k), generate_series(1, k) l`,
			meta.Now().Hour()-720, meta.Now().Hour()),
		fmt.Sprintf(`INSERT INTO tenant_days (tenant_id, day, uploads, bytes, refusals, rejected) SELECT id, d, 3, 3000, 1, 0
			FROM tenants, generate_series(%d, %d) d`, meta.Now().Day()-30, meta.Now().Day()),
		`INSERT INTO tenant_activity (tenant_id, last_upload_at) SELECT id, created_at + 7919 FROM tenants`,
	}
	for _, sql := range slices.Concat(statements, fillFiles(assets, tenantOf), fillRest()) {
		_, err := db.Exec(ctx, sql)
		c.must(err)
	}
	for _, x := range indexes {
		_, err := db.Exec(ctx, x.Indexdef)
		c.must(err)
	}
	_, err := db.Exec(ctx, `VACUUM ANALYZE`)
	c.must(err)
}
