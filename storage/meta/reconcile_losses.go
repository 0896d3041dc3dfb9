package meta

import (
	"context"
	"encoding/json"
	"fmt"

	"gatehouse/storage"
)

// LedgerDrop is a tenant whose records add up to less than its ledger says: records may be lost.
type LedgerDrop struct {
	TenantID string `json:"tenant_id"`
	Tenant   string `json:"tenant"`
	// LostFiles and LostBytes are how many fewer there are; zero where there are not.
	LostFiles int64        `json:"lost_files"`
	LostBytes int64        `json:"lost_bytes"`
	Written   ledgerCounts `json:"written"`
	Truth     ledgerCounts `json:"truth"`
}

type ledgerCounts struct {
	UsedBytes int64 `json:"used_bytes"`
	UsedFiles int64 `json:"used_files"`
}

// dropsAtOnce is how many findings are read at once.
const dropsAtOnce = 500

// LedgerDrops reads from a run's findings the ledgers whose records add up to less. Findings that are gone were in order
// when they were looked at again.
func (db *DB) LedgerDrops(ctx context.Context, runID string) ([]LedgerDrop, error) {
	var out []LedgerDrop
	for after := ""; ; {
		page, err := db.Findings(ctx, runID, FindingFilter{Kind: storage.DriftLedger}, after, dropsAtOnce)
		if err != nil {
			return nil, fmt.Errorf("read what ledgers a run found: %w", err)
		}
		for _, f := range page {
			after = f.ID
			d := LedgerDrop{}
			if err := json.Unmarshal([]byte(f.Detail), &d); err != nil {
				return nil, fmt.Errorf("finding %s: detail: %w", f.ID, err)
			}
			d.TenantID = f.TenantID
			if f.State != FindingGone && (d.LostFiles > 0 || d.LostBytes > 0) {
				out = append(out, d)
			}
		}
		if len(page) < dropsAtOnce {
			return out, nil
		}
	}
}

// FilesFound is how many digests of a tenant a run's findings are about.
type FilesFound struct {
	TenantID string
	Files    int64
}

// FilesFound counts by tenant the digests of a run's findings of some kinds, in a state, for which one of the repairs is planned.
func (db *DB) FilesFound(ctx context.Context, runID, state string, kinds []storage.DriftKind, repairs []storage.Repair) ([]FilesFound, error) {
	var out []FilesFound
	err := db.g.WithContext(ctx).Model(&ReconcileFinding{}).
		Where("run_id = ? AND state = ? AND kind IN ? AND repair IN ?", runID, state, kinds, repairs).
		Select("tenant_id, COUNT(DISTINCT sha256) AS files").Group("tenant_id").Order("tenant_id").Scan(&out).Error
	return out, err
}
