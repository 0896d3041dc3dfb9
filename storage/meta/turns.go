package meta

import (
	"context"
	"time"

	"gorm.io/gorm"
)

// TakeTurn lets one of several programs do a periodic job: it reports true when the name's last turn is at
// least `since` old, or there was none, and then the turn is the caller's.
func (db *DB) TakeTurn(ctx context.Context, name string, since Stamp) (bool, error) {
	return db.takeTurn(ctx, name, true, func(g *gorm.DB) *gorm.DB { return g.Where("updated_at <= ?", since) })
}

// dailyLeast is the least time between two turns of a day: workers in two time zones have two nights.
const dailyLeast = 20 * time.Hour

// turnTaken is the value of a turn that somebody has had, and not only waits for its first.
const turnTaken = "taken"

// TakeDailyTurn is TakeTurn for what is due at an instant: it reports true when the name's last turn was before it. A
// name that never had a turn has it at the next instant: a fresh installation has nothing to catch up with.
func (db *DB) TakeDailyTurn(ctx context.Context, name string, due Stamp) (bool, error) {
	return db.takeTurn(ctx, name, false, func(g *gorm.DB) *gorm.DB {
		return g.Where("updated_at < ? AND (value <> ? OR updated_at < ?)", due, turnTaken, Now().Add(-dailyLeast))
	})
}

// takeTurn takes the turn when the last one is due; first is whether there is one at once for a name that had none.
func (db *DB) takeTurn(ctx context.Context, name string, first bool, due func(*gorm.DB) *gorm.DB) (bool, error) {
	var won bool
	err := db.InTx(ctx, func(tx *Tx) error {
		now := Now()
		created, err := insertNew(tx.g, tx.dialect, &Fact{Name: name, Value: "", UpdatedAt: now})
		if err != nil || created {
			won = created && first
			return err
		}
		r := due(tx.g.Model(&Fact{}).Where("name = ?", name)).
			Updates(map[string]any{"updated_at": now, "value": turnTaken})
		won = r.RowsAffected == 1
		return r.Error
	})
	return won && err == nil, err
}
