package meta

import (
	"context"
	"fmt"
	"math/rand/v2"

	"gorm.io/gorm"
)

// Disagreeing lists tenants (of those given; nil: of all) whose assets and blobs may contradict each other: every tenant for
// which AssetsAlone, WrongReferences or AssetsDiffering has something, and maybe some more. It asks for less than they do by
// a factor of six: it adds up a hash of digest, size and state, over a tenant's assets and over the references that its
// blobs count, and compares the two sums. Sums that are the same by accident are one case in 2^64, each time another one.
// It reports false when it cannot tell cheaply, or when they are more than limit; whoever asks then asks about all.
func (db *DB) Disagreeing(ctx context.Context, tenants []string, limit int) ([]string, bool, error) {
	if db.dialect != Postgres { // the others have no hash of 64 bits that is cheaper than to compare
		return nil, false, nil
	}
	scope, in := inTenants("", tenants)
	hash := fmt.Sprintf("hashtextextended(sha256, hashint8extended(size, %d) # ", rand.Int64())
	verdict := "CASE scan_status"
	for _, s := range assetStates {
		verdict += fmt.Sprintf(" WHEN '%s' THEN %d", s.scan, stateNumbers[s.asset])
	}
	state := "CASE state"
	for s, n := range stateNumbers {
		state += fmt.Sprintf(" WHEN '%s' THEN %d", s, n)
	}
	q := `SELECT tenant_id FROM (
			SELECT tenant_id, SUM(` + hash + state + ` ELSE 0 END)) AS s, 0 AS odd
				FROM assets WHERE state <> 'deleted'` + scope + ` GROUP BY tenant_id
			UNION ALL
			SELECT tenant_id, -SUM(CAST(` + hash + verdict + ` ELSE 0 END) AS numeric) * refs),
				SUM(CASE WHEN refs = 0 AND unreferenced_at = 0 THEN 1 ELSE 0 END)
				FROM blobs WHERE NOT sweeping` + scope + ` GROUP BY tenant_id
		) x GROUP BY tenant_id HAVING SUM(s) <> 0 OR SUM(odd) > 0 ORDER BY tenant_id LIMIT ?`
	args := append(append(append([]any{}, in...), in...), limit+1)
	var out []string
	err := db.serially(ctx, func(g *gorm.DB) error { return g.Raw(q, args...).Scan(&out).Error })
	if err != nil || len(out) > limit {
		return nil, false, err
	}
	return out, true, nil
}
