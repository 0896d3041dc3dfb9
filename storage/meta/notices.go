package meta

import (
	"context"

	"gorm.io/gorm"
)

// AddNotice queues a message about an alert for one channel, in the transaction of the alert's change.
func (tx *Tx) AddNotice(n Notice) error { return tx.g.Create(&n).Error }

// ChannelsTold lists the channels that have or will get a message about an alert.
func (tx *Tx) ChannelsTold(alertID string) ([]string, error) {
	var out []string
	return out, tx.g.Model(&Notice{}).Distinct("channel").Where("alert_id = ?", alertID).Pluck("channel", &out).Error
}

// TakeNotices claims up to limit messages of a channel that are due until `until`: nobody else gets them before. Where
// there are more, those of critical alerts come first, and of these the newest of each rule, so that many messages of one
// rule hold up no other. Messages about one alert keep their order: a later one waits for an earlier one.
func (db *DB) TakeNotices(ctx context.Context, channel string, now, until Stamp, limit int) ([]Notice, error) {
	var due []Notice
	err := db.g.WithContext(ctx).Raw(`SELECT n.* FROM notices n LEFT JOIN alerts a ON a.id = n.alert_id
		WHERE n.ended_at = 0 AND n.channel = ? AND n.next_at <= ?
		AND NOT EXISTS (SELECT 1 FROM notices e WHERE e.alert_id = n.alert_id AND e.channel = n.channel AND e.ended_at = 0 AND e.id < n.id)
		ORDER BY CASE a.severity WHEN 'critical' THEN 0 WHEN 'warning' THEN 1 ELSE 2 END,
			ROW_NUMBER() OVER (PARTITION BY a.severity, a.rule ORDER BY n.id DESC), n.id LIMIT ?`, channel, now, limit).Scan(&due).Error
	if err != nil || len(due) == 0 {
		return nil, err
	}
	var taken []Notice
	err = db.InTx(ctx, func(tx *Tx) error {
		taken = nil
		for _, n := range due {
			r := tx.g.Model(&Notice{}).Where("id = ? AND ended_at = 0 AND next_at = ?", n.ID, n.NextAt).
				Updates(map[string]any{"next_at": until, "attempts": gorm.Expr("attempts + 1")})
			if r.Error != nil {
				return r.Error
			}
			if r.RowsAffected == 1 {
				n.NextAt, n.Attempts = until, n.Attempts+1
				taken = append(taken, n)
			}
		}
		return nil
	})
	return taken, err
}

// EndNotices ends messages: as sent, or given up with the problem that says why.
func (db *DB) EndNotices(ctx context.Context, ids []string, at Stamp, problem string) error {
	return db.InTx(ctx, func(tx *Tx) error {
		return tx.g.Model(&Notice{}).Where("id IN ? AND ended_at = 0", ids).
			Updates(map[string]any{"ended_at": at, "problem": problem}).Error
	})
}

// DelayNotices puts messages back that could not be sent; counted says whether that was an attempt.
func (db *DB) DelayNotices(ctx context.Context, ids []string, next Stamp, counted bool) error {
	set := map[string]any{"next_at": next}
	if !counted {
		set["attempts"] = gorm.Expr("attempts - 1")
	}
	return db.InTx(ctx, func(tx *Tx) error {
		return tx.g.Model(&Notice{}).Where("id IN ? AND ended_at = 0", ids).Updates(set).Error
	})
}

// EndNoticesOfOthers gives up every message that is older than `before` and is for none of the channels.
func (db *DB) EndNoticesOfOthers(ctx context.Context, channels []string, before, at Stamp, problem string) (int64, error) {
	channels = append([]string{""}, channels...) // an empty list would match nothing
	var n int64
	err := db.InTx(ctx, func(tx *Tx) error {
		r := tx.g.Model(&Notice{}).Where("ended_at = 0 AND channel NOT IN ? AND created_at < ?", channels, before).
			Updates(map[string]any{"ended_at": at, "problem": problem})
		n = r.RowsAffected
		return r.Error
	})
	return n, err
}

// ChannelHealth is when a channel last sent something and last gave something up.
type ChannelHealth struct {
	Channel  string
	SentAt   Stamp
	FailedAt Stamp
	// Failed is how many messages were given up since.
	Failed int64
}

// ChannelsHealth looks at the messages that ended since `since`. A test that failed told whoever made it.
func (db *DB) ChannelsHealth(ctx context.Context, since Stamp) ([]ChannelHealth, error) {
	var out []ChannelHealth
	err := db.g.WithContext(ctx).Raw(`SELECT channel, MAX(CASE WHEN problem = '' THEN ended_at ELSE 0 END) AS sent_at,
			MAX(CASE WHEN problem <> '' AND event <> 'test' THEN ended_at ELSE 0 END) AS failed_at,
			SUM(CASE WHEN problem <> '' AND event <> 'test' THEN 1 ELSE 0 END) AS failed
		FROM notices WHERE ended_at >= ? GROUP BY channel ORDER BY channel`, since).Scan(&out).Error
	return out, err
}

// LastProblem is why a channel gave a message about an alert up the last time.
func (db *DB) LastProblem(ctx context.Context, channel string) (string, error) {
	var n Notice
	err := db.g.WithContext(ctx).Where("ended_at > 0 AND channel = ? AND problem <> '' AND event <> 'test'", channel).Order("ended_at DESC").Limit(1).Find(&n).Error
	return n.Problem, err
}

// NoticesOf lists the messages about an alert, oldest first.
func (db *DB) NoticesOf(ctx context.Context, alertID string) ([]Notice, error) {
	var out []Notice
	return out, db.g.WithContext(ctx).Where("alert_id = ?", alertID).Order("id").Find(&out).Error
}

// NoticeBy reads a message.
func (db *DB) NoticeBy(ctx context.Context, id string) (Notice, error) {
	var n Notice
	err := db.g.WithContext(ctx).Take(&n, "id = ?", id).Error
	return n, notFound(err)
}

// ForgetTests removes tests of channels that ended before `before`. Other messages go with their alerts.
func (db *DB) ForgetTests(ctx context.Context, before Stamp) error {
	return db.InTx(ctx, func(tx *Tx) error {
		return tx.g.Delete(&Notice{}, "ended_at > 0 AND ended_at < ? AND event = 'test'", before).Error
	})
}

// ChannelState is what has become of a channel's messages.
type ChannelState struct {
	Channel string
	// SentAt is when it last sent something, FailedAt when it last gave something up; Waiting are still to be sent.
	SentAt   Stamp
	FailedAt Stamp
	Waiting  int64
}

// ChannelStates looks at all messages that are kept.
func (db *DB) ChannelStates(ctx context.Context) ([]ChannelState, error) {
	var out []ChannelState
	err := db.g.WithContext(ctx).Raw(`SELECT channel, MAX(CASE WHEN problem = '' THEN ended_at ELSE 0 END) AS sent_at,
			MAX(CASE WHEN problem <> '' THEN ended_at ELSE 0 END) AS failed_at, SUM(CASE WHEN ended_at = 0 THEN 1 ELSE 0 END) AS waiting
		FROM notices GROUP BY channel ORDER BY channel`).Scan(&out).Error
	return out, err
}

// LastFailure is the message that a channel gave up last, tests too.
func (db *DB) LastFailure(ctx context.Context, channel string) (Notice, error) {
	var n Notice
	return n, db.g.WithContext(ctx).Where("ended_at > 0 AND channel = ? AND problem <> ''", channel).Order("ended_at DESC").Limit(1).Find(&n).Error
}
