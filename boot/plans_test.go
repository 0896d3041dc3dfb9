package boot

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/configs"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// TestSeedPlansMakesNoLostOneAnew: what it said is not what is configured, and a retention would delete files.
func TestSeedPlansMakesNoLostOneAnew(t *testing.T) {
	cfg, err := configs.Load(configs.ForCommands, "", nil)
	require.NoError(t, err)
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		ctx := context.Background()
		names := func() (out []string) {
			plans, err := db.Plans(ctx)
			require.NoError(t, err)
			for _, p := range plans {
				out = append(out, p.Name)
			}
			return out
		}
		lost, err := SeedPlans(ctx, cfg, db)
		require.NoError(t, err)
		require.Empty(t, lost)
		require.Equal(t, []string{"enterprise", "free", "platform", "pro"}, names())

		tenant := metatest.Tenant(t, db, 1000)
		for _, sql := range []string{`UPDATE tenants SET plan = 'pro' WHERE id = '` + tenant + `'`, `DELETE FROM plans WHERE name IN ('pro', 'free')`} {
			_, err := db.Exec(ctx, sql)
			require.NoError(t, err)
		}
		lost, err = SeedPlans(ctx, cfg, db)
		require.NoError(t, err)
		require.Equal(t, []string{"pro"}, lost)
		require.Contains(t, names(), "free", "nobody is on it")
		require.NotContains(t, names(), "pro")
	})
}
