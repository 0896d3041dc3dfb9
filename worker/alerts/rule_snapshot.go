package alerts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// factSnapshot is what the snapshot job tells of the last snapshot that it finished: {"at": ..., "id": ...}.
const factSnapshot = "snapshot.last"

// snapshotMissing tells when there is no young snapshot. A system that is younger than that itself needs none yet.
func snapshotMissing(ctx context.Context, look *Look) ([]Finding, error) {
	most := look.Limits.SnapshotMaxAge
	began, err := look.DB.FirstRecord(ctx)
	if err != nil || began == 0 || began.Add(most) >= look.Now {
		return nil, err
	}
	last, id, err := lastSnapshot(ctx, look)
	if err != nil || last != 0 && last.Add(most) >= look.Now {
		return nil, err
	}
	f := Finding{
		Subject: "snapshot", Severity: Critical,
		Message: fmt.Sprintf("There is no snapshot of the database; the last should be younger than %s.", spell(most)),
	}
	if last != 0 {
		f.Message = fmt.Sprintf("The last snapshot of the database is of %s, %s ago; it should be younger than %s.",
			last.Time().Format(time.RFC3339), spell(look.Now.Time().Sub(last.Time())), spell(most))
		f.Facts = map[string]any{"id": id, "at": last.Time()}
	}
	return []Finding{f}, nil
}

func lastSnapshot(ctx context.Context, look *Look) (meta.Stamp, string, error) {
	fact, err := look.DB.FactByName(ctx, factSnapshot)
	if errors.Is(err, storage.ErrNotFound) {
		return 0, "", nil
	}
	if err != nil {
		return 0, "", err
	}
	var told struct {
		At json.RawMessage `json:"at"`
		ID string          `json:"id"`
	}
	if err := json.Unmarshal([]byte(fact.Value), &told); err != nil {
		return 0, "", fmt.Errorf("fact %s: %w", factSnapshot, err)
	}
	var stamp meta.Stamp
	var at time.Time
	switch {
	case json.Unmarshal(told.At, &stamp) == nil:
		return stamp, told.ID, nil
	case json.Unmarshal(told.At, &at) == nil:
		return meta.StampOf(at), told.ID, nil
	}
	return 0, "", fmt.Errorf("fact %s: its time %s is none", factSnapshot, told.At)
}
