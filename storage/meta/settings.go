package meta

import (
	"context"

	"gorm.io/gorm/clause"

	"gatehouse/storage"
)

// Setting is a value that operators have set at run time. Without a row the configured one holds.
type Setting struct {
	Name string `gorm:"primaryKey"`
	// Value is JSON.
	Value     string
	UpdatedAt Stamp `gorm:"autoUpdateTime:false"`
	UpdatedBy string
}

// Settings lists all that are set.
func (db *DB) Settings(ctx context.Context) ([]Setting, error) {
	var out []Setting
	return out, db.g.WithContext(ctx).Order("name").Find(&out).Error
}

// SettingBy reads one and keeps others from changing it to the end of the transaction; storage.ErrNotFound when it is not set.
// One that is not set is locked by a row without a value: the caller saves or drops it in the same transaction.
func (tx *Tx) SettingBy(name string) (Setting, error) {
	var s Setting
	if _, err := insertNew(tx.g, tx.dialect, &Setting{Name: name, UpdatedAt: Now()}); err != nil {
		return s, err
	}
	q := tx.g
	if tx.dialect != SQLite { // which has one writer at a time anyway
		q = q.Clauses(clause.Locking{Strength: "UPDATE"})
	}
	r := q.Limit(1).Find(&s, "name = ?", name)
	if r.Error == nil && (r.RowsAffected == 0 || s.Value == "") {
		return s, storage.ErrNotFound
	}
	return s, r.Error
}

// SaveSetting sets one.
func (tx *Tx) SaveSetting(s Setting) error {
	return tx.g.Clauses(clause.OnConflict{
		Columns: []clause.Column{{Name: "name"}}, DoUpdates: clause.AssignmentColumns([]string{"value", "updated_at", "updated_by"}),
	}).Create(&s).Error
}

// DropSetting takes one back.
func (tx *Tx) DropSetting(name string) error { return tx.g.Delete(&Setting{}, "name = ?", name).Error }
