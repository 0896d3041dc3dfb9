package meta

import (
	"context"

	"gatehouse/storage"
)

// FoundAlone writes down that an upload found an object of its bytes and no row of them: the rows were lost, or an upload
// had died, before a run could see that. LeftByDeletion asks for it. It is a finding of no run, kept as long as those of runs.
func (t Tenant) FoundAlone(sha256 string, zone storage.Zone) error {
	now := Now()
	return t.g.Create(&ReconcileFinding{
		ID: NewID(), TenantID: t.id, Kind: storage.DriftOrphan, Zone: zone, SHA256: sha256, ObjectKey: storage.BlobKey(t.id, sha256),
		Detail: "{}", State: FindingGone, Problem: "an upload of the same bytes has found the object and made new records", FoundAt: now, EndedAt: now,
	}).Error
}

// forgetFoundAlone removes what FoundAlone wrote before the stamp.
func (db *DB) forgetFoundAlone(ctx context.Context, before Stamp) error {
	return forget[string](ctx, db, &ReconcileFinding{}, "id", "run_id = '' AND found_at < ?", before)
}
