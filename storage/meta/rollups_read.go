package meta

import (
	"context"
	"errors"
	"slices"

	"gatehouse/storage"
)

// RolledUp is when the audit log was last counted; zero before the first time.
func (db *DB) RolledUp(ctx context.Context) (Stamp, error) {
	f, err := db.FactByName(ctx, factRollups)
	if errors.Is(err, storage.ErrNotFound) {
		return 0, nil
	}
	return f.UpdatedAt, err
}

// Stat is how much of a metric there was, since two hours.
type Stat struct {
	Metric string
	Label  string
	// Recent is since the later one, Total since the earlier.
	Recent int64
	Total  int64
}

// Stats adds the counters up since the hour `since`, and of that since the hour `recent`.
func (db *DB) Stats(ctx context.Context, since, recent int64) ([]Stat, error) {
	var out []Stat
	err := db.g.WithContext(ctx).Raw(`SELECT metric, label, SUM(CASE WHEN hour >= ? THEN n ELSE 0 END) AS recent, SUM(n) AS total
		FROM stat_hours WHERE hour >= ? GROUP BY metric, label ORDER BY metric, label`, recent, since).Scan(&out).Error
	return out, err
}

// ActivityOf adds up what tenants did since a day.
func (db *DB) ActivityOf(ctx context.Context, tenants []string, since int64) (map[string]TenantDay, error) {
	out := map[string]TenantDay{}
	for part := range slices.Chunk(tenants, statBatch) {
		var rows []TenantDay
		err := db.g.WithContext(ctx).Raw(`SELECT tenant_id, SUM(uploads) AS uploads, SUM(bytes) AS bytes, SUM(refusals) AS refusals,
				SUM(rejected) AS rejected
			FROM tenant_days WHERE tenant_id IN ? AND day >= ? GROUP BY tenant_id`, part, since).Scan(&rows).Error
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			out[r.TenantID] = r
		}
	}
	return out, nil
}
