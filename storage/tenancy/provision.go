package tenancy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
)

// Abandoned is the age at which a provisioning that has not ended counts as given up: its program died. It is longer
// than provisioning may take, so that nobody cleans up behind a program that is still at work.
const Abandoned = 10 * time.Minute

// provisionTime bounds the steps, undoTime the compensations.
const (
	provisionTime = 5 * time.Minute
	undoTime      = 2 * time.Minute
)

// Provisioner makes tenants, and cleans up after those that could not be made.
type Provisioner struct {
	DB    *meta.DB
	Zones *blob.Zones
	Actor audit.Actor
	// Reason is why the tenant is made; it goes into its first audit record.
	Reason string
	// NewKey makes an API key and the hash that is stored in its place; Scopes is what the first key may do. Only
	// Provision needs them.
	NewKey func() (key, hash string)
	Scopes string
}

// draft is a tenant that is being made.
type draft struct {
	id, name, plan string
	key            string
}

// step is one thing to do for a new tenant. undo takes back whatever of it was done, also half or nothing, and can be
// repeated; reason is why.
type step struct {
	name string
	do   func(ctx context.Context, d *draft) error
	undo func(ctx context.Context, id string) error
}

// steps is THE list of what makes a tenant.
func (p Provisioner) steps() []step {
	return []step{
		{name: "row", do: p.writeRow, undo: p.fail},
		{name: "zone check", do: p.checkZones, undo: p.removeProbes},
		{name: "default key", do: p.writeKey, undo: p.removeKeys},
		// The last one has nothing to take back: once it is done, the tenant is made.
		{name: "activate", do: p.activate, undo: func(context.Context, string) error { return nil }},
	}
}

// Provision makes an active tenant on a plan, with its first key. When it returns an error, nothing is left but a row
// that says why; if that was not possible now, the error says so, and FailAbandoned does it later.
func (p Provisioner) Provision(ctx context.Context, name, plan string) (id, key string, err error) {
	d := &draft{id: meta.NewID(), name: name, plan: plan}
	if err := p.run(ctx, p.steps(), d); err != nil {
		return "", "", err
	}
	return d.id, d.key, nil
}

func (p Provisioner) run(ctx context.Context, steps []step, d *draft) error {
	stepping, cancel := context.WithTimeout(ctx, provisionTime)
	defer cancel()
	for _, s := range steps {
		err := s.do(stepping, d)
		if err == nil {
			continue
		}
		err = fmt.Errorf("%s: %w", s.name, err)
		// Cleaning up is not cut off together with the caller.
		undoing, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
		defer cancel()
		made, uerr := p.giveUp(undoing, steps, d.id, err.Error())
		if made {
			return nil // the answer to the last step was lost, and that is all
		}
		if uerr != nil {
			return fmt.Errorf("%w; cleaning up failed too and is tried again by a worker: %w", err, uerr)
		}
		return err
	}
	return nil
}

// giveUp takes a provisioning back. It reports true when the tenant has been made after all.
func (p Provisioner) giveUp(ctx context.Context, steps []step, id, reason string) (made bool, err error) {
	var undoing bool
	err = p.DB.InTx(ctx, func(tx *meta.Tx) (err error) {
		undoing, err = tx.BeginUndo(id, reason)
		return err
	})
	if err != nil {
		return false, err
	}
	if !undoing {
		t, err := p.DB.Tenant(ctx, id).Row()
		switch {
		case errors.Is(err, storage.ErrNotFound):
			return false, nil // not even the row came to be
		case err != nil:
			return false, err
		case t.State != storage.TenantFailed && t.State != storage.TenantProvisioning:
			return true, nil // whatever has been done with it since
		}
		// Somebody else has ended it, taking this program for dead; what came after that is taken back here.
	}
	for _, s := range slices.Backward(steps) {
		if err := s.undo(ctx, id); err != nil {
			return false, fmt.Errorf("take back %s: %w", s.name, err)
		}
	}
	return false, nil
}

// reasonDied is the reason of a provisioning whose program died.
const reasonDied = "the program that made the tenant ended before it was done"

// FailAbandoned ends every provisioning that began before the stamp and every one whose cleaning up did not end, and
// returns how many it ended. What cannot be ended now is in the error and left for the next time.
func (p Provisioner) FailAbandoned(ctx context.Context, before meta.Stamp) (int, error) {
	const batch = 100
	list, err := p.DB.Abandoned(ctx, before, batch)
	ended := 0
	for _, t := range list {
		if _, gerr := p.giveUp(ctx, p.steps(), t.ID, reasonDied); gerr != nil {
			err = errors.Join(err, fmt.Errorf("end the provisioning of tenant %s: %w", t.ID, gerr))
			continue
		}
		ended++
	}
	return ended, err
}
