package meta

import (
	"context"
	"slices"
	"strings"

	"gorm.io/gorm"

	"gatehouse/storage"
)

// OpenAlerts lists the open alerts of a rule, or with an empty rule all of them, oldest first.
func (db *DB) OpenAlerts(ctx context.Context, rule string) ([]Alert, error) {
	var out []Alert
	q := db.g.WithContext(ctx).Where("open_key IS NOT NULL")
	if rule != "" {
		q = q.Where("rule = ?", rule)
	}
	return out, q.Order("id").Find(&out).Error
}

// ClosedAlerts lists the alerts that ended last, newest first.
func (db *DB) ClosedAlerts(ctx context.Context, limit int) ([]Alert, error) {
	var out []Alert
	return out, db.g.WithContext(ctx).Where("closed_at > 0").Order("closed_at DESC, id DESC").Limit(limit).Find(&out).Error
}

// OpenAlert opens an alert; it reports false when one of the same rule and subject is open already.
func (tx *Tx) OpenAlert(a *Alert) (bool, error) {
	key := a.Rule + ":" + a.Subject
	a.ID, a.OpenKey = NewID(), &key
	return insertNew(tx.g, tx.dialect, a)
}

// unchanged narrows to an alert that is as the caller has read it: of two engines that decide on the same, one wins.
func unchanged(g *gorm.DB, a Alert) *gorm.DB {
	return g.Model(&Alert{}).Where("id = ? AND open_key IS NOT NULL AND seen_at = ? AND sent_at = ? AND severity = ? AND acknowledged_at = ?",
		a.ID, a.SeenAt, a.SentAt, a.Severity, a.AcknowledgedAt)
}

// SaveAlert writes what has become of an open alert that was read as `was`; it reports false when somebody else
// changed it meanwhile. An alert with ClosedAt is over.
func (tx *Tx) SaveAlert(was, now Alert) (bool, error) {
	set := map[string]any{
		"severity": now.Severity, "message": now.Message, "data": now.Data, "seen_at": now.SeenAt, "sent_at": now.SentAt,
		"closed_at": now.ClosedAt, "acknowledged_at": now.AcknowledgedAt, "acknowledged_by": now.AcknowledgedBy,
	}
	if now.ClosedAt != 0 {
		set["open_key"] = nil
	}
	r := unchanged(tx.g, was).Updates(set)
	return r.RowsAffected == 1, r.Error
}

// sawBatch bounds one statement.
const sawBatch = 500

// SawAlerts notes that the rule of open alerts still says so, and nothing new about them.
func (db *DB) SawAlerts(ctx context.Context, ids []string, at Stamp) error {
	for part := range slices.Chunk(ids, sawBatch) {
		err := db.InTx(ctx, func(tx *Tx) error {
			return tx.g.Model(&Alert{}).Where("id IN ? AND open_key IS NOT NULL AND seen_at < ?", part, at).Update("seen_at", at).Error
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// OpenAlertBy reads an open alert; storage.ErrNotFound when there is none with that id.
func (tx *Tx) OpenAlertBy(id string) (Alert, error) {
	var a Alert
	err := tx.g.Take(&a, "id = ? AND open_key IS NOT NULL", id).Error
	return a, notFound(err)
}

// AlertBy reads an alert.
func (db *DB) AlertBy(ctx context.Context, id string) (Alert, error) {
	var a Alert
	err := db.g.WithContext(ctx).Take(&a, "id = ?", id).Error
	return a, notFound(err)
}

// AlertFilter narrows a list; zero fields do not.
type AlertFilter struct {
	// Open is nil for all, or says whether the alert is open.
	Open                     *bool
	Severity, Rule, TenantID string
	// Text stands in the message or the subject, in any case.
	Text string
}

// Alerts lists alerts, the newest first, those opened before the one with the given id.
func (db *DB) Alerts(ctx context.Context, f AlertFilter, before string, limit int) ([]Alert, error) {
	q := db.g.WithContext(ctx)
	if before != "" {
		q = q.Where("id < ?", before)
	}
	if f.Open != nil {
		is := "open_key IS NULL"
		if *f.Open {
			is = "open_key IS NOT NULL"
		}
		q = q.Where(is)
	}
	for column, value := range map[string]string{"severity": f.Severity, "rule": f.Rule, "tenant_id": f.TenantID} {
		if value != "" {
			q = q.Where(column+" = ?", value)
		}
	}
	if f.Text != "" {
		like := "%" + escapeLike(strings.ToLower(f.Text)) + "%"
		q = q.Where("(LOWER(message) LIKE ? ESCAPE '!' OR LOWER(subject) LIKE ? ESCAPE '!')", like, like)
	}
	var out []Alert
	return out, q.Order("id DESC").Limit(limit).Find(&out).Error
}

// AcknowledgeAlert notes who has taken an open alert on; storage.ErrNotFound when there is no such open alert.
func (tx *Tx) AcknowledgeAlert(id, who string) (Alert, error) {
	var a Alert
	r := tx.g.Model(&Alert{}).Where("id = ? AND open_key IS NOT NULL", id).
		Updates(map[string]any{"acknowledged_at": Now(), "acknowledged_by": who})
	switch {
	case r.Error != nil:
		return a, r.Error
	case r.RowsAffected == 0:
		return a, storage.ErrNotFound
	}
	err := tx.g.Take(&a, "id = ?", id).Error
	return a, err
}

// AlertCount is how many alerts of a rule and severity are open.
type AlertCount struct {
	Rule     string
	Severity string
	Count    int64
}

// CountOpenAlerts counts the open alerts.
func (db *DB) CountOpenAlerts(ctx context.Context) ([]AlertCount, error) {
	var out []AlertCount
	err := db.g.WithContext(ctx).Model(&Alert{}).Where("open_key IS NOT NULL").
		Select("rule, severity, COUNT(*) AS count").Group("rule, severity").Scan(&out).Error
	return out, err
}

// ForgetAlerts removes at most limit alerts that ended before `before`, with their notices.
func (db *DB) ForgetAlerts(ctx context.Context, before Stamp, limit int) error {
	var ids []string
	err := db.g.WithContext(ctx).Model(&Alert{}).Where("closed_at > 0 AND closed_at < ?", before).
		Order("closed_at").Limit(limit).Pluck("id", &ids).Error
	if err != nil || len(ids) == 0 {
		return err
	}
	return db.InTx(ctx, func(tx *Tx) error {
		if err := tx.g.Delete(&Notice{}, "alert_id IN ?", ids).Error; err != nil {
			return err
		}
		return tx.g.Delete(&Alert{}, "id IN ?", ids).Error
	})
}
