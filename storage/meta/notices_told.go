package meta

import (
	"context"
	"slices"
)

// LastTold tells when a message about each of the alerts was sent last, by any channel.
func (db *DB) LastTold(ctx context.Context, alerts []string) (map[string]Stamp, error) {
	told := map[string]Stamp{}
	for part := range slices.Chunk(alerts, sawBatch) {
		var rows []Notice
		err := db.g.WithContext(ctx).Model(&Notice{}).Where("alert_id IN ? AND ended_at > 0 AND problem = ''", part).
			Select("alert_id, MAX(ended_at) AS ended_at").Group("alert_id").Scan(&rows).Error
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			told[r.AlertID] = r.EndedAt
		}
	}
	return told, nil
}

// Untold lists the last message about each of the alerts on each channel that was not sent: it waits, or was given up.
func (db *DB) Untold(ctx context.Context, alerts []string) ([]Notice, error) {
	var out []Notice
	for part := range slices.Chunk(alerts, sawBatch) {
		var rows []Notice
		err := db.g.WithContext(ctx).Raw(`SELECT n.* FROM notices n WHERE n.alert_id IN ? AND (n.ended_at = 0 OR n.problem <> '')
			AND NOT EXISTS (SELECT 1 FROM notices l WHERE l.alert_id = n.alert_id AND l.channel = n.channel AND l.id > n.id)
			ORDER BY n.alert_id, n.channel`, part).Scan(&rows).Error
		if err != nil {
			return nil, err
		}
		out = append(out, rows...)
	}
	return out, nil
}
