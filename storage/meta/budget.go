package meta

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// budgetPrefix opens the names of the facts behind Spend.
const budgetPrefix = "budget."

// Spend takes one of the `most` uses that a name has within a window, for all programs together. When none is left
// it takes nothing and says how long to wait for one. now is the caller's clock: one that is behind the others
// counts as the latest of them.
func (db *DB) Spend(ctx context.Context, name string, now Stamp, window time.Duration, most int) (wait time.Duration, err error) {
	err = db.InTx(ctx, func(tx *Tx) error {
		wait = 0
		fact := Fact{Name: budgetPrefix + name, Value: "[]", UpdatedAt: now}
		if _, err := insertNew(tx.g, tx.dialect, &fact); err != nil {
			return err
		}
		// The write comes first: it holds the row until the commit.
		if err := tx.g.Model(&Fact{}).Where("name = ?", fact.Name).Update("updated_at", now).Error; err != nil {
			return err
		}
		if err := tx.g.Take(&fact, "name = ?", fact.Name).Error; err != nil {
			return err
		}
		var used []Stamp
		if err := json.Unmarshal([]byte(fact.Value), &used); err != nil {
			return fmt.Errorf("budget %s: %w", name, err)
		}
		at := now
		if len(used) > 0 {
			at = max(at, used[len(used)-1])
		}
		used = slices.DeleteFunc(used, func(s Stamp) bool { return s.Add(window) <= at })
		if len(used) >= most {
			wait = time.Duration(used[0].Add(window)-now) * time.Microsecond
			return nil
		}
		raw, err := json.Marshal(append(used, at))
		if err != nil {
			return err
		}
		return tx.g.Model(&Fact{}).Where("name = ?", fact.Name).Update("value", string(raw)).Error
	})
	return wait, err
}
