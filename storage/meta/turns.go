package meta

import "context"

// TakeDailyTurn is TakeTurn for what is due at an instant: it reports true when the name's last turn was before it. A
// name that never had a turn has it at the next instant: a fresh installation has nothing to catch up with.
func (db *DB) TakeDailyTurn(ctx context.Context, name string, due Stamp) (bool, error) {
	var won bool
	err := db.InTx(ctx, func(tx *Tx) error {
		now := Now()
		created, err := insertNew(tx.g, tx.dialect, &Fact{Name: name, Value: "", UpdatedAt: now})
		if won = false; err != nil || created {
			return err
		}
		r := tx.g.Model(&Fact{}).Where("name = ? AND updated_at < ?", name, due).Update("updated_at", now)
		won = r.RowsAffected == 1
		return r.Error
	})
	return won && err == nil, err
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
