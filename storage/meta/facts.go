package meta

import (
	"context"

	"gorm.io/gorm/clause"

	"gatehouse/storage"
)

// SetFact tells the other programs a single value, such as the fingerprint of the signature database.
func (db *DB) SetFact(ctx context.Context, name, value string) error {
	return db.InTx(ctx, func(tx *Tx) error {
		return tx.g.Clauses(clause.OnConflict{
			Columns: []clause.Column{{Name: "name"}}, DoUpdates: clause.AssignmentColumns([]string{"value", "updated_at"}),
		}).Create(&Fact{Name: name, Value: value, UpdatedAt: Now()}).Error
	})
}

// FactByName reads a fact; storage.ErrNotFound when nobody has told it.
func (db *DB) FactByName(ctx context.Context, name string) (Fact, error) {
	var f Fact
	r := db.g.WithContext(ctx).Limit(1).Find(&f, "name = ?", name)
	if r.Error == nil && r.RowsAffected == 0 {
		return f, storage.ErrNotFound
	}
	return f, r.Error
}

// TakeTurn lets one of several programs do a periodic job: it reports true when the name's last turn is at
// least `since` old, and then the turn is the caller's.
func (db *DB) TakeTurn(ctx context.Context, name string, since Stamp) (bool, error) {
	var won bool
	err := db.InTx(ctx, func(tx *Tx) error {
		now := Now()
		created, err := insertNew(tx.g, tx.dialect, &Fact{Name: name, Value: "", UpdatedAt: now})
		if err != nil || created {
			won = created
			return err
		}
		r := tx.g.Model(&Fact{}).Where("name = ? AND updated_at <= ?", name, since).Update("updated_at", now)
		won = r.RowsAffected == 1
		return r.Error
	})
	return won && err == nil, err
}
