package meta

import (
	"context"

	"gorm.io/gorm/clause"

	"gatehouse/storage"
)

// SetFact tells the other programs a single value, such as the fingerprint of the signature database.
func (db *DB) SetFact(ctx context.Context, name, value string) error {
	return db.InTx(ctx, func(tx *Tx) error { return tx.SetFact(name, value) })
}

// SetFact is DB.SetFact in the transaction of what the value is about.
func (tx *Tx) SetFact(name, value string) error {
	return tx.g.Clauses(clause.OnConflict{
		Columns: []clause.Column{{Name: "name"}}, DoUpdates: clause.AssignmentColumns([]string{"value", "updated_at"}),
	}).Create(&Fact{Name: name, Value: value, UpdatedAt: Now()}).Error
}

// DropFact takes a value back.
func (tx *Tx) DropFact(name string) error { return tx.g.Delete(&Fact{}, "name = ?", name).Error }

// LockFact reads a fact and keeps others from changing it to the end of the transaction; one that nobody has told is made,
// without a value.
func (tx *Tx) LockFact(name string) (Fact, error) {
	f := Fact{Name: name}
	if _, err := insertNew(tx.g, tx.dialect, &Fact{Name: name, UpdatedAt: Now()}); err != nil {
		return f, err
	}
	if err := tx.g.Model(&Fact{}).Where("name = ?", name).Update("updated_at", Now()).Error; err != nil {
		return f, err
	}
	return f, tx.g.Take(&f, "name = ?", name).Error
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
