package alerts

import (
	"context"
	"fmt"
	"math/big"

	"github.com/dustin/go-humanize"

	"gatehouse/storage/meta"
)

// quotaSteps are the levels at which a tenant's use is told, the highest first. One alert rises and falls between them.
var quotaSteps = []struct {
	percent  int64
	severity Severity
}{{100, Critical}, {95, Warning}, {80, Info}}

// quotaLevels tells of tenants that have used most of their quota: somebody should sell them more before uploads stop.
func quotaLevels(ctx context.Context, look *Look) ([]Finding, error) {
	lowest := quotaSteps[len(quotaSteps)-1].percent
	list, err := look.DB.TenantsOver(ctx, lowest)
	if err != nil {
		return nil, err
	}
	var out []Finding
	for _, t := range list {
		for _, step := range quotaSteps {
			if !reaches(t, step.percent) {
				continue
			}
			out = append(out, Finding{
				Subject: t.ID, TenantID: t.ID, Severity: step.severity,
				Message: fmt.Sprintf("The %s has used %d %% or more of its storage: %s of %s (plan %s). %s",
					tenantName(map[string]string{t.ID: t.Name}, t.ID), step.percent, size(t.Used), size(t.Quota), t.Plan, moreHint(t.ID)),
				Facts: map[string]any{"level": step.percent, "used": t.Used, "quota": t.Quota, "plan": t.Plan, "tenant": t.Name},
			})
			break
		}
	}
	return out, nil
}

// moreHint says how a tenant gets more room.
func moreHint(tenant string) string {
	return fmt.Sprintf("`gateway tenant show %s` tells about the tenant; `gateway tenant plan %s PLAN` or `gateway tenant quota %s BYTES` gives it more.",
		tenant, tenant, tenant)
}

// reaches compares exactly, also near the largest integer.
func reaches(t meta.TenantUse, percent int64) bool {
	used := new(big.Int).Mul(big.NewInt(t.Used), big.NewInt(100))
	return used.Cmp(new(big.Int).Mul(big.NewInt(t.Quota), big.NewInt(percent))) >= 0
}

// size writes bytes for people.
func size(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }
