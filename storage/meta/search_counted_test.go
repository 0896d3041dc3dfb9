package meta_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/e2e/services"
	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// Where names have no index, only a window of the newest files is looked at. The run over what was counted must not move it on.
func TestWhatWasCountedIsFoundAgainAndNothingOlder(t *testing.T) {
	for name, url := range map[string]string{"sqlite": metatest.SQLiteURL(t), "postgres": services.PostgresDSN(t), "mysql": services.MySQLDSN(t)} {
		t.Run(name, func(t *testing.T) {
			db, err := meta.Open(t.Context(), meta.Config{
				URL: url, MaxOpenConns: 4, MaxIdleConns: 4, ConnMaxLifetime: time.Hour, BusyTimeout: time.Minute, SearchWindow: 2_100,
			})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, db.Close()) })
			require.NoError(t, db.Migrate(t.Context()))
			tenant := metatest.Tenant(t, db, 1<<30)
			const all = 4_200
			var ids []string
			require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error {
				for n := range all {
					name := "other"
					if n%2 == 0 {
						name = "xy"
					}
					a := meta.Asset{
						ID: fmt.Sprintf("0190b36e-%04x-7000-8000-000000000000", n), SHA256: digest, Name: name, NameFolded: name,
						Category: storage.CategoryDocument, State: storage.AssetAvailable, CreatedAt: meta.Now(), UpdatedAt: meta.Now(),
					}
					ids = append(ids, a.ID)
					if err := tx.Tenant(tenant).CreateAsset(&a); err != nil {
						return err
					}
				}
				return nil
			}))
			// Two letters, which no index of names serves.
			search := meta.AssetSearch{Query: "xy"}
			count, err := db.CountAssets(t.Context(), search, meta.MaxBulk)
			require.NoError(t, err)
			require.EqualValues(t, 1_050, count.Total)
			require.Equal(t, []meta.TenantCount{{TenantID: tenant, Count: 1_050}}, count.Tenants)
			require.Equal(t, ids[all-2], count.Newest)
			require.Equal(t, ids[all-2_100], count.Oldest)

			var found []string
			for before := count.Newest + "0"; ; {
				page, err := db.SearchCounted(t.Context(), search, before, count.Oldest, 100)
				require.NoError(t, err)
				for _, a := range page {
					found, before = append(found, a.ID), a.ID
				}
				if len(page) < 100 {
					break
				}
			}
			require.Len(t, found, 1_050)
			require.Equal(t, count.Oldest, found[len(found)-1])

			// The beginning of an id is found however old the file is, but does not count.
			search = meta.AssetSearch{Query: ids[0]}
			list, err := db.SearchAssets(t.Context(), search, "", 10)
			require.NoError(t, err)
			require.Len(t, list, 1)
		})
	}
}
