package reconcile

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
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
