package meta

import (
	"context"
	"fmt"

	"gatehouse/storage"
)

// This file has the questions of the alert rules about releases.

// ReleaseFailures lists the last failure of each thing of which a publish or rollback was refused or failed, or a checksum was not
// the expected one; not where it was published since. Who only lacked the right or a fresh second factor is told by RefusedCalls.
func (db *DB) ReleaseFailures(ctx context.Context, since Stamp, limit int) ([]AuditRecord, error) {
	const published = `action IN ('release.publish', 'release.rollback')`
	mismatch := fmt.Sprintf(`(code = '%s' OR action = 'release.artifact_add' AND code = '%s')`, storage.CodeReleaseChecksumMismatch, storage.CodeDigestMismatch)
	failed := fmt.Sprintf(`result IN ('refused', 'failed') AND code NOT IN ('%s', '%s') AND (%s OR %s)`,
		storage.CodeForbidden, storage.CodeMFARequired, published, mismatch)
	var ids []int64
	err := db.g.WithContext(ctx).Raw(fmt.Sprintf(`SELECT last FROM (
			SELECT target, MAX(CASE WHEN %[1]s THEN id ELSE 0 END) AS last, MAX(CASE WHEN %[3]s AND result = 'ok' THEN id ELSE 0 END) AS done
			FROM audit_log WHERE %[2]s AND (%[3]s OR %[4]s) GROUP BY target) f
		WHERE last > done ORDER BY last DESC LIMIT ?`, failed, whoseRecords, published, mismatch), since, limit).Scan(&ids).Error
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	var out []AuditRecord
	return out, db.g.WithContext(ctx).Where("id IN ?", ids).Order("id").Find(&out).Error
}

// PublishedTracks lists the channels and platforms in which a release was ever published. Devices may tell of any channel; these are the ones that operators have made.
func (db *DB) PublishedTracks(ctx context.Context) ([]OfTrack, error) {
	var out []OfTrack
	return out, db.g.WithContext(ctx).Model(&ClientRelease{}).Where("published_at <> 0").
		Distinct("channel, platform").Order("channel, platform").Find(&out).Error
}
