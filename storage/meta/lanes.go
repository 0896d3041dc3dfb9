package meta

import (
	"context"

	"gatehouse/storage"
)

// PausedLanes lists the lanes that are paused, by name.
func (db *DB) PausedLanes(ctx context.Context) ([]LanePause, error) {
	var out []LanePause
	return out, db.g.WithContext(ctx).Where("paused_at > 0").Order("name").Find(&out).Error
}

// PauseLane pauses a lane: from the commit on no task of it is claimed. It reports false when it is paused already.
func (tx *Tx) PauseLane(lane storage.Lane, by, reason string) (bool, error) {
	now := Now()
	if _, err := insertNew(tx.g, tx.dialect, &LanePause{Name: lane}); err != nil {
		return false, err
	}
	r := tx.g.Model(&LanePause{}).Where("name = ? AND paused_at = 0", lane).
		Updates(map[string]any{"paused_at": now, "paused_by": by, "reason": reason})
	return r.RowsAffected == 1, r.Error
}

// ResumeLane ends a pause and gives what it was; it reports false when the lane runs.
func (tx *Tx) ResumeLane(lane storage.Lane) (LanePause, bool, error) {
	var was LanePause
	r := tx.g.Where("name = ? AND paused_at > 0", lane).Limit(1).Find(&was)
	if r.Error != nil || r.RowsAffected == 0 {
		return was, false, r.Error
	}
	r = tx.g.Model(&LanePause{}).Where("name = ? AND paused_at = ?", lane, was.PausedAt).
		Updates(map[string]any{"paused_at": 0, "paused_by": "", "reason": ""})
	return was, r.RowsAffected == 1, r.Error
}

// LaneRate is how many tasks of a lane were done since a time.
type LaneRate struct {
	Lane storage.Lane
	Done int64
}

// DoneSince counts tasks that were done since a time, by lane.
func (db *DB) DoneSince(ctx context.Context, since Stamp) ([]LaneRate, error) {
	var out []LaneRate
	err := db.g.WithContext(ctx).Model(&Task{}).Where("finished_at >= ? AND state = ?", since, storage.TaskDone).
		Select("lane, COUNT(*) AS done").Group("lane").Scan(&out).Error
	return out, err
}
