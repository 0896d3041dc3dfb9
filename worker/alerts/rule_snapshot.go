package alerts

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/snapshot"
)

// snapshotMissing tells when there is no young snapshot. A system that is younger than that itself needs none yet.
func snapshotMissing(ctx context.Context, look *Look) ([]Finding, error) {
	most := look.Limits.SnapshotMaxAge
	began, err := look.DB.FirstRecord(ctx)
	if err != nil || began == 0 || began.Add(most) >= look.Now {
		return nil, err
	}
	f := Finding{Subject: "snapshot", Severity: Critical}
	last, err := snapshot.LastTaken(ctx, look.DB)
	switch age := look.Now.Time().Sub(last.Time); {
	case errors.Is(err, storage.ErrNotFound):
		f.Message = fmt.Sprintf("There is no snapshot of the database; the last should be younger than %s.", spell(most))
	case err != nil:
		return nil, err
	case age <= most:
		return nil, nil
	default:
		f.Message = fmt.Sprintf("The last snapshot of the database is of %s, %s ago; it should be younger than %s.",
			last.Time.Format(time.RFC3339), spell(age), spell(most))
		f.Facts = map[string]any{"id": last.ID, "at": last.Time, "rows": last.Rows}
	}
	return []Finding{f}, nil
}
