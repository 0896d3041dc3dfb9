package reconcile

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// A run that is confined to a tenant neither reads nor marks what others have.
func TestConfinedRunReadsNoBytesOfOthers(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		y.cfg.Digests.Days = 1
		other := *y
		other.tenant = metatest.Tenant(t, y.db, 1<<20)
		for _, z := range []*yard{y, &other} {
			z.whole(t, "of "+z.tenant)
			z.fitLedger(t)
		}
		content := "of " + other.tenant
		y.put(t, storage.ZoneClean, storage.BlobKey(other.tenant, digestOf(content)), fmt.Sprintf("%*d", len(content), 0))
		run := y.confined(t)
		require.Equal(t, meta.RunDone, run.State)
		require.Empty(t, y.found(t, run))
		require.Zero(t, run.Verified)
		require.Empty(t, other.blobOf(t, content).Damage)
		require.Equal(t, []string{"digest_differs clean -> mark_damaged"}, y.found(t, y.reconcile(t, meta.RunFull)))
	})
}

// confined makes a full run over the yard's tenant alone.
func (y *yard) confined(t testing.TB) meta.ReconcileRun {
	t.Helper()
	var run meta.ReconcileRun
	y.inTx(t, func(tx *meta.Tx) error {
		var err error
		run, err = Begin(tx, Request{Kind: meta.RunFull, Tenants: []string{y.tenant}, By: "test"})
		return err
	})
	run, err := y.Perform(ctx, run.ID, nil, nil)
	require.NoError(t, err)
	return run
}

// Runs that are confined do not add up to what no run may do at once.
func TestBrakeCountsWhatOtherRunsHaveRepaired(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		y.cfg.BrakeMin, y.cfg.BrakeShare = 4, 0.01
		y.cfg.BrakeTenantMin = 100
		z := *y
		z.tenant = metatest.Tenant(t, y.db, 1<<20)
		for n := range 3 {
			y.object(t, storage.ZoneClean, fmt.Sprint("orphan ", n))
			z.object(t, storage.ZoneClean, fmt.Sprint("orphan ", n))
		}
		require.EqualValues(t, 3, y.confined(t).Repaired)
		held := z.confined(t)
		require.Equal(t, meta.RunHeld, held.State)
		require.Contains(t, held.Problem, "would touch 3 objects and rows, besides 3 that other runs have repaired within 20h0m0s, and the brake allows 4")
		y.inTx(t, func(tx *meta.Tx) error { _, err := Confirm(tx, held.ID, audit.CLI, "somebody", ""); return err })
		_, err := y.Perform(ctx, held.ID, nil, nil)
		require.NoError(t, err)
		require.Equal(t, meta.RunDone, y.confined(t).State, "nothing to do is not held")
		y.object(t, storage.ZoneClean, "another orphan")
		require.Equal(t, meta.RunDone, y.confined(t).State, "what a person has confirmed does not count")
		y.object(t, storage.ZoneClean, "one orphan more")
		y.exec(t, `UPDATE reconcile_findings SET ended_at = ended_at - ? WHERE ended_at > 0`, repairedWithin.Microseconds())
		require.Equal(t, meta.RunDone, y.confined(t).State, "nor does what is long ago")
	})
}
