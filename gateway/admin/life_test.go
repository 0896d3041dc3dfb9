package admin_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/gateway/admin"
	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/tenancy"
)

// deeds are the actions by name.
func (o office) deeds() map[string]func(id string) (admin.Change, error) {
	return map[string]func(string) (admin.Change, error){
		"suspend": func(id string) (admin.Change, error) { return o.Suspend(ctx, id, "why") },
		"resume":  func(id string) (admin.Change, error) { return o.Resume(ctx, id, "why") },
		"delete":  func(id string) (admin.Change, error) { return o.Delete(ctx, id, "why") },
		"restore": func(id string) (admin.Change, error) { return o.Restore(ctx, id, "why") },
		"purge":   func(id string) (admin.Change, error) { return o.Purge(ctx, id, "acme", "why") },
	}
}

func TestEveryActionInEveryState(t *testing.T) {
	const active, suspended, pending = storage.TenantActive, storage.TenantSuspended, storage.TenantPendingDelete
	leads := map[storage.TenantState]map[string]storage.TenantState{
		active:    {"suspend": suspended, "delete": pending},
		suspended: {"resume": active, "delete": pending},
		pending:   {"restore": suspended, "purge": pending},
	}
	onEach(t, func(t *testing.T, o office) {
		id := o.tenant(t, "acme")
		for _, from := range storage.TenantStates {
			for name, do := range o.deeds() {
				o.put(t, id, from)
				records := o.records(t)
				_, err := do(id)
				to, legal := leads[from][name]
				if legal {
					require.NoError(t, err, "%s %s", name, from)
					require.Equal(t, to, o.row(t, id).State, "%s %s", name, from)
					require.Equal(t, records+1, o.records(t))
					continue
				}
				refusal := requireRefused(t, err, storage.CodeConflict, "tenant_state")
				require.Contains(t, refusal.Reason.English, string(from))
				for other := range leads[from] {
					require.Contains(t, refusal.Reason.English, other, "what is possible from here")
				}
				require.Equal(t, from, o.row(t, id).State)
				require.Equal(t, records, o.records(t))
			}
		}
	})
}

func TestDeletionIsTakenBackToTheStateItCameFrom(t *testing.T) {
	onEach(t, func(t *testing.T, o office) {
		id := o.tenant(t, "acme")
		for _, from := range []storage.TenantState{storage.TenantActive, storage.TenantSuspended} {
			o.put(t, id, from)
			before := meta.Now()
			c, err := o.Delete(ctx, "acme", "they left")
			require.NoError(t, err)
			require.Equal(t, from, c.Before)
			row := o.row(t, id)
			require.Equal(t, "they left", row.StateReason)
			require.GreaterOrEqual(t, row.DeleteAfter, before.Add(o.CoolingOff))
			require.Equal(t, row.DeleteAfter.Time(), *c.DeleteAfter)
			require.Equal(t, map[string]any{
				"before": string(from), "after": "pending_delete", "reason": "they left", "delete_after": o.record(t, "tenant.delete")["delete_after"],
			}, o.record(t, "tenant.delete"))

			c, err = o.Restore(ctx, id, "they stay")
			require.NoError(t, err)
			require.Equal(t, from, c.After)
			row = o.row(t, id)
			require.Equal(t, from, row.State)
			require.Zero(t, row.DeleteAfter)
			require.Empty(t, row.RestoreState)
		}
	})
}

func TestPurgeNeedsTheNameAndQueuesTheTask(t *testing.T) {
	onEach(t, func(t *testing.T, o office) {
		id := o.tenant(t, "acme")
		_, err := o.Delete(ctx, id, "")
		require.NoError(t, err)
		_, err = o.Purge(ctx, id, id, "")
		requireRefused(t, err, storage.CodeMalformedRequest, "purge_confirm")
		due, err := o.DB.PurgeDue(ctx, meta.Now(), 10)
		require.NoError(t, err)
		require.Empty(t, due)

		for range 2 {
			_, err = o.Purge(ctx, id, "acme", "they asked for it")
			require.NoError(t, err)
		}
		depths, err := o.DB.Depths(ctx)
		require.NoError(t, err)
		require.Len(t, depths, 1)
		require.EqualValues(t, 1, depths[0].Count)
		require.NoError(t, o.purge(id))
		require.Equal(t, storage.TenantDeleted, o.row(t, id).State)
		o.tenant(t, "acme") // the name is free again
		_, err = o.SetTenantPlan(ctx, id, "pro")
		requireRefused(t, err, storage.CodeConflict, "tenant_over")
		_, err = o.CreateKey(ctx, id, admin.KeySpec{Name: "k"})
		requireRefused(t, err, storage.CodeConflict, "tenant_not_served")
	})
}

// purge is what the worker's job does.
func (o office) purge(id string) error {
	end, err := tenancy.Purger{DB: o.DB, Zones: o.Zones, Fenced: o.DB.InTx}.Run(ctx, id)
	if err != nil || end == nil {
		return err
	}
	return o.DB.InTx(ctx, end)
}

// race does all of it at the same time and returns the errors.
func race(dos ...func() error) []error {
	errs := make([]error, len(dos))
	begin := make(chan struct{})
	var all sync.WaitGroup
	for i, do := range dos {
		all.Go(func() { <-begin; errs[i] = do() })
	}
	close(begin)
	all.Wait()
	return errs
}

func succeeded(errs []error) (n int) {
	for _, err := range errs {
		if err == nil {
			n++
		}
	}
	return n
}

func TestOfTwoSuspensionsOneIsToldThatItIsSuspended(t *testing.T) {
	onEach(t, func(t *testing.T, o office) {
		id := o.tenant(t, "acme")
		for range 6 {
			o.put(t, id, storage.TenantActive)
			suspend := func() error { _, err := o.Suspend(ctx, id, ""); return err }
			errs := race(suspend, suspend, suspend)
			require.Equal(t, 1, succeeded(errs))
			for _, err := range errs {
				if err != nil {
					requireRefused(t, err, storage.CodeConflict, "tenant_state")
				}
			}
		}
	})
}

func TestDeletionAgainstRestoration(t *testing.T) {
	onEach(t, func(t *testing.T, o office) {
		id := o.tenant(t, "acme")
		for range 6 {
			o.put(t, id, storage.TenantPendingDelete)
			restore := func() error { _, err := o.Restore(ctx, id, ""); return err }
			remove := func() error { _, err := o.Delete(ctx, id, ""); return err }
			errs := race(restore, remove)
			row := o.row(t, id)
			// Either they came in the order restore, delete, or the deletion was refused.
			require.NoError(t, errs[0])
			if errs[1] == nil {
				require.Equal(t, storage.TenantPendingDelete, row.State)
				require.Equal(t, storage.TenantSuspended, row.RestoreState)
			} else {
				require.Equal(t, storage.TenantSuspended, row.State)
			}
		}
	})
}

// Whoever wins, a tenant is whole or gone.
func TestPurgeAgainstRestoration(t *testing.T) {
	onEach(t, func(t *testing.T, o office) {
		outcomes := map[storage.TenantState]int{}
		for i := range 8 {
			name := fmt.Sprint("acme-", i)
			id := o.tenant(t, name)
			object := id + "/ab/object"
			require.NoError(t, o.Zones.Clean.Put(ctx, object, strings.NewReader("x"), 1, putOptions))
			o.put(t, id, storage.TenantPendingDelete)
			errs := race(func() error { return o.purge(id) }, func() error {
				_, err := o.Restore(ctx, id, "")
				return err
			})
			require.NoError(t, errs[0])
			row := o.row(t, id)
			outcomes[row.State]++
			_, err := o.Zones.Clean.Stat(context.Background(), object)
			if errs[1] == nil {
				require.Equal(t, storage.TenantSuspended, row.State)
				require.NoError(t, err)
				require.Nil(t, row.QuotaOverride)
				continue
			}
			require.Contains(t, []string{"tenant_purging", "tenant_state"}, slug(errs[1]))
			require.Equal(t, storage.TenantDeleted, row.State)
			require.ErrorIs(t, err, storage.ErrNotFound)
		}
		require.Equal(t, 8, outcomes[storage.TenantSuspended]+outcomes[storage.TenantDeleted])
	})
}

func TestActionsNeedATenant(t *testing.T) {
	o := onSQLite(t)
	for _, name := range slices.Sorted(maps.Keys(o.deeds())) {
		_, err := o.deeds()[name]("nobody")
		requireRefused(t, err, storage.CodeNotFound, "tenant_unknown")
	}
}

func TestNothingIsPossibleOnceThePurgeHasBegun(t *testing.T) {
	o := onSQLite(t)
	id := o.tenant(t, "acme")
	o.put(t, id, storage.TenantPendingDelete)
	require.NoError(t, o.DB.InTx(ctx, func(tx *meta.Tx) error {
		_, err := tx.BeginPurge(id)
		return err
	}))
	for _, do := range o.deeds() {
		_, err := do(id)
		requireRefused(t, err, storage.CodeConflict, "tenant_purging")
	}
	_, err := o.SetTenantQuota(ctx, id, nil)
	requireRefused(t, err, storage.CodeConflict, "tenant_over")
}
