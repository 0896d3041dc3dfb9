package meta

import (
	"context"
	"encoding/json"
	"fmt"
)

// MaxBulk is how many files one run may be about. It bounds the count that comes first, too.
const MaxBulk = 100_000

// BulkRunBy reads a run.
func (db *DB) BulkRunBy(ctx context.Context, id string) (BulkRun, error) {
	var r BulkRun
	err := db.g.WithContext(ctx).Take(&r, "id = ?", id).Error
	return r, notFound(err)
}

// BulkRunBy reads a run in a transaction.
func (tx *Tx) BulkRunBy(id string) (BulkRun, error) {
	var r BulkRun
	err := tx.g.Take(&r, "id = ?", id).Error
	return r, notFound(err)
}

// BulkRuns lists runs, newest first, at most limit of those older than the run `before`.
func (db *DB) BulkRuns(ctx context.Context, before string, limit int) ([]BulkRun, error) {
	q := db.g.WithContext(ctx)
	if before != "" {
		q = q.Where("id < ?", before)
	}
	var out []BulkRun
	return out, q.Order("id DESC").Limit(limit).Find(&out).Error
}

// MoveBulk changes a run that is still queued or running; ErrRunMoved when it has ended.
func (tx *Tx) MoveBulk(id string, set map[string]any) error {
	set["updated_at"] = Now()
	r := tx.g.Model(&BulkRun{}).Where("id = ? AND state IN ?", id, []BulkState{BulkQueued, BulkRunning}).Updates(set)
	if r.Error == nil && r.RowsAffected == 0 {
		return ErrRunMoved
	}
	return r.Error
}

// Search is the run's filter.
func (r BulkRun) Search() (AssetSearch, error) {
	var s AssetSearch
	if err := json.Unmarshal([]byte(r.Filter), &s); err != nil {
		return s, fmt.Errorf("filter of the bulk run %s: %w", r.ID, err)
	}
	return s, nil
}
