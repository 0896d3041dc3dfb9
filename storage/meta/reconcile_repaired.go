package meta

import "context"

// RepairedSince counts what runs other than that one have repaired or marked since the stamp, apart from what a person has
// confirmed.
func (db *DB) RepairedSince(ctx context.Context, runID string, since Stamp) (n int64, err error) {
	runs := db.g.Model(&ReconcileRun{}).Select("id").Where("kind = ? AND id <> ? AND updated_at >= ? AND confirmed_at = 0", RunFull, runID, since)
	err = db.g.WithContext(ctx).Model(&ReconcileFinding{}).
		Where("run_id IN (?) AND state IN ? AND ended_at >= ?", runs, []string{FindingRepaired, FindingMarked}, since).Count(&n).Error
	return n, err
}
