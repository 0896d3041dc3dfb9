package meta

import (
	"context"
)

// OperatorNetworks lists the networks that operators may come from.
func (db *DB) OperatorNetworks(ctx context.Context) ([]OperatorNetwork, error) {
	var out []OperatorNetwork
	return out, db.g.WithContext(ctx).Order("id").Find(&out).Error
}

// LockNetworks lists them for a change: the active supers' rows stand guard, so that two changes come one after the other.
func (tx *Tx) LockNetworks(guard string) ([]OperatorNetwork, error) {
	if _, err := tx.LockActiveOperators(guard); err != nil {
		return nil, err
	}
	var out []OperatorNetwork
	return out, tx.g.Order("id").Find(&out).Error
}

// CreateNetwork inserts a network; it reports false when that range is there.
func (tx *Tx) CreateNetwork(n OperatorNetwork) (bool, error) { return insertNew(tx.g, tx.dialect, &n) }

// RemoveNetworks removes the networks with these ids.
func (tx *Tx) RemoveNetworks(ids []string) error {
	return tx.g.Where("id IN ?", ids).Delete(&OperatorNetwork{}).Error
}
