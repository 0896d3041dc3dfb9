package meta_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

func TestTenantPage(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		ctx := context.Background()
		require.NoError(t, db.InTx(ctx, func(tx *meta.Tx) error {
			for _, p := range []string{"small", "large"} {
				if err := tx.Create(&meta.Plan{Name: p, StorageBytes: 1000, Spec: "{}", UpdatedAt: 1}); err != nil {
					return err
				}
			}
			for i := range 20 {
				own := int64(1 << 53)
				row := meta.TenantRow{
					ID: meta.NewID(), Name: fmt.Sprintf("Tenant %02d", i), Plan: []string{"small", "large", "lost"}[i%3], State: storage.TenantActive,
					UsedBytes: int64(i/2) * 100, UsedFiles: 1, CreatedAt: meta.Stamp(100 - i), UpdatedAt: 1,
				}
				if i == 4 {
					row.State, row.QuotaOverride, row.Name = storage.TenantSuspended, &own, "100% Äpfel"
				}
				if err := tx.Create(&row); err != nil {
					return err
				}
				if i%2 == 0 {
					if err := tx.Create(&meta.TenantActivity{TenantID: row.ID, LastUploadAt: meta.Stamp(i/4 + 1)}); err != nil {
						return err
					}
				}
			}
			return nil
		}))
		for _, order := range []meta.TenantSort{meta.TenantsByName, meta.TenantsByCreated, meta.TenantsByUsed, meta.TenantsByUpload} {
			all, err := db.TenantPage(ctx, meta.TenantFilter{Sort: order}, nil, 100)
			require.NoError(t, err)
			require.Len(t, all, 20)
			var paged []meta.TenantLine
			for after := (*meta.TenantKey)(nil); ; {
				page, err := db.TenantPage(ctx, meta.TenantFilter{Sort: order}, after, 3)
				require.NoError(t, err)
				if len(page) == 0 {
					break
				}
				paged = append(paged, page...)
				key := page[len(page)-1].Key(order)
				after = &key
			}
			require.Equal(t, all, paged, "%s", order)
		}
		count := func(f meta.TenantFilter) int {
			f.Sort = meta.TenantsByName
			list, err := db.TenantPage(ctx, f, nil, 100)
			require.NoError(t, err)
			return len(list)
		}
		require.Equal(t, 1, count(meta.TenantFilter{State: storage.TenantSuspended}))
		require.Equal(t, 7, count(meta.TenantFilter{Plan: "small"}))
		require.Equal(t, 19, count(meta.TenantFilter{Query: "tENANT"}))
		require.Equal(t, 1, count(meta.TenantFilter{Query: "0% Ä"}))
		require.Equal(t, 0, count(meta.TenantFilter{Query: "enant_0"}))
		require.Equal(t, 2, count(meta.TenantFilter{OverPercent: 90}), "those without a quota are not over it")

		sums, err := db.SumTenants(ctx, 1<<53-1)
		require.NoError(t, err)
		require.Equal(t, []meta.TenantSums{
			{State: storage.TenantActive, Tenants: 19, Used: 8800, Files: 19, Promised: 13000, NoQuota: 6},
			{State: storage.TenantSuspended, Tenants: 1, Used: 200, Files: 1, Unlimited: 1},
		}, sums)
	})
}
