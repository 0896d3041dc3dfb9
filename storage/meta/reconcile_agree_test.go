package meta_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// family is a blob and what its assets are.
type family struct {
	refs          int64
	scan          storage.ScanStatus
	states        []storage.AssetState
	size, hasSize int64 // the blob's, and that of its assets
	sweeping      bool
	unreferenced  meta.Stamp
	noBlob        bool
}

func TestDisagreeingNamesEveryTenantThatTheChecksFindSomethingIn(t *testing.T) {
	const available, rejected, waits, deleted = storage.AssetAvailable, storage.AssetRejected, storage.AssetQuarantined, storage.AssetDeleted
	type states = []storage.AssetState
	whole := map[string][]family{
		"clean":             {{refs: 1, scan: storage.ScanClean, states: states{available}}},
		"several":           {{refs: 3, scan: storage.ScanClean, states: states{available, available, deleted, available}}},
		"infected":          {{refs: 2, scan: storage.ScanInfected, states: states{rejected, rejected}}, {refs: 1, scan: storage.ScanUnscannable, states: states{rejected}}},
		"waits":             {{refs: 1, scan: storage.ScanPending, states: states{waits}}},
		"left by deletion":  {{scan: storage.ScanClean, states: states{deleted}, unreferenced: 7}},
		"is being swept":    {{sweeping: true, states: states{deleted}}},
		"sizes of any kind": {{refs: 1, scan: storage.ScanClean, states: states{available}, size: math.MaxInt64, hasSize: math.MaxInt64}},
		"none":              {},
	}
	wrong := map[string][]family{
		"no row of the blob":    {{noBlob: true, states: states{available}}},
		"no row of one of two":  {{noBlob: true, states: states{available}}, {refs: 1, scan: storage.ScanClean, states: states{available}}},
		"too few":               {{refs: 1, scan: storage.ScanClean, states: states{available, available}}},
		"too many":              {{refs: 2, scan: storage.ScanClean, states: states{available}}},
		"more than a sum holds": {{refs: math.MaxInt64, scan: storage.ScanClean, states: states{available}}},
		"two that make up for each other": {
			{refs: 2, scan: storage.ScanClean, states: states{available}}, {refs: 1, scan: storage.ScanClean, states: states{available, available}},
		},
		"since nobody knows when": {{scan: storage.ScanClean}},
		"state":                   {{refs: 1, scan: storage.ScanClean, states: states{rejected}}},
		"states that were swapped": {
			{refs: 1, scan: storage.ScanClean, states: states{rejected}}, {refs: 1, scan: storage.ScanInfected, states: states{available}},
		},
		"waiting, but judged": {{refs: 1, scan: storage.ScanInfected, states: states{waits}}},
		"size":                {{refs: 1, scan: storage.ScanClean, states: states{available}, size: 4, hasSize: 5}},
		"sizes of any kind":   {{refs: 1, scan: storage.ScanClean, states: states{available}, size: math.MaxInt64, hasSize: math.MaxInt64 / 2}},
	}
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		fill := func(families []family) string {
			tenant := metatest.Tenant(t, db, 1000)
			inTx(t, db, func(tx *meta.Tx) error {
				for i, f := range families {
					digest := fmt.Sprintf("%064x", i+1)
					if !f.noBlob {
						b := newBlob(digest)
						b.TenantID, b.Refs, b.ScanStatus, b.Size, b.Sweeping = tenant, f.refs, f.scan, f.size, f.sweeping
						b.UnreferencedAt = f.unreferenced
						if err := tx.Create(b); err != nil {
							return err
						}
					}
					for n, s := range f.states {
						a := newAsset(strings.Repeat("n", n+1), digest)
						a.TenantID, a.State, a.Size = tenant, s, f.hasSize
						if err := tx.Create(a); err != nil {
							return err
						}
					}
				}
				return nil
			})
			return tenant
		}
		good, bad := map[string]string{}, map[string]string{}
		for name, families := range whole {
			good[fill(families)] = name
		}
		for name, families := range wrong {
			bad[fill(families)] = name
		}
		found := func(tenant string) (n int) {
			for _, ask := range []func() ([]meta.RowDrift, error){
				func() ([]meta.RowDrift, error) {
					return db.AssetsAlone(t.Context(), []string{tenant}, meta.RowDrift{}, 10)
				},
				func() ([]meta.RowDrift, error) {
					return db.WrongReferences(t.Context(), []string{tenant}, meta.RowDrift{}, 10)
				},
				func() ([]meta.RowDrift, error) {
					return db.AssetsDiffering(t.Context(), []string{tenant}, meta.RowDrift{}, 10)
				},
			} {
				list, err := ask()
				require.NoError(t, err)
				n += len(list)
			}
			return n
		}
		list, known, err := db.Disagreeing(t.Context(), nil, 100)
		require.NoError(t, err)
		require.Equal(t, db.Dialect() == meta.Postgres, known)
		for tenant, name := range good {
			require.Zero(t, found(tenant), name)
			require.NotContains(t, list, tenant, name)
		}
		for tenant, name := range bad {
			require.NotZero(t, found(tenant), name)
			if known {
				require.Contains(t, list, tenant, name)
			}
		}
		if !known {
			return
		}
		for tenant := range bad {
			list, known, err = db.Disagreeing(t.Context(), []string{tenant}, 100)
			require.NoError(t, err)
			require.True(t, known)
			require.Equal(t, []string{tenant}, list)
		}
		list, known, err = db.Disagreeing(t.Context(), nil, len(bad)-1)
		require.NoError(t, err)
		require.False(t, known, "more than one statement is asked about")
		require.Empty(t, list)
	})
}
