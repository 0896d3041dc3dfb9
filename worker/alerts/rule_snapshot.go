package alerts

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/snapshot"
)

const snapshotHint = " `worker snapshot list` shows them, `worker snapshot create` takes one now; every worker takes one each night (reconcile.at)."

// clockSkew is how far clocks that are right may be apart: what is ahead of ours by more is not young but of unknown age.
const clockSkew = time.Hour

// young reports whether a system that began then needs nothing yet that shall be there after most. A beginning ahead of us
// is none: its clock was wrong.
func young(began meta.Stamp, most time.Duration, now meta.Stamp) bool {
	return began.Add(most) >= now && began <= now.Add(clockSkew)
}

// snapshotMissing tells when there is no young snapshot. A system that is younger than that itself needs none yet.
func snapshotMissing(ctx context.Context, look *Look) ([]Finding, error) {
	most := look.Limits.SnapshotMaxAge
	began, err := look.DB.FirstRecord(ctx)
	if err != nil || began == 0 || young(began, most, look.Now) {
		return nil, err
	}
	f := Finding{Subject: "snapshot", Severity: Critical}
	last, err := snapshot.LastTaken(ctx, look.DB)
	switch age := look.Now.Time().Sub(last.Time); {
	case errors.Is(err, storage.ErrNotFound):
		f.Message = fmt.Sprintf("There is no snapshot of the database; the last one should be younger than %s.%s", spell(most), snapshotHint)
	case err != nil:
		return nil, err
	case age < -clockSkew:
		f.Message = fmt.Sprintf("The last snapshot of the database is of %s, which is %s ahead: the clock of the worker that took it was wrong, or that of this one is. Nobody knows how old it is. Set the clocks, then take another one.%s",
			at(last.Time), spell(-age), snapshotHint)
		f.Facts = map[string]any{"id": last.ID, "at": last.Time, "rows": last.Rows}
	case age <= most:
		return nil, nil
	default:
		f.Message = fmt.Sprintf("The last snapshot of the database was taken at %s, %s ago; it should be younger than %s.%s",
			at(last.Time), spell(age), spell(most), snapshotHint)
		f.Facts = map[string]any{"id": last.ID, "at": last.Time, "rows": last.Rows}
	}
	return []Finding{f}, nil
}

// snapshotLook is how often the zone is looked at.
const snapshotLook = time.Hour

// snapshotGoneRule is the rule where the store can be looked at.
func snapshotGoneRule(manifest func(ctx context.Context, id string) error) Rule {
	return Rule{ruleSnapshotGone, snapshotGone(manifest), "A last snapshot that is not where it should be.", nil}
}

// snapshotGone tells when the last snapshot that the database speaks of is not where it should be: somebody emptied the
// bucket, or a rule of the store's did. A store that is away says nothing about it.
func snapshotGone(manifest func(ctx context.Context, id string) error) func(context.Context, *Look) ([]Finding, error) {
	var looked meta.Stamp
	var id string
	var found []Finding
	return func(ctx context.Context, look *Look) ([]Finding, error) {
		last, err := snapshot.LastTaken(ctx, look.DB)
		if errors.Is(err, storage.ErrNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if id == last.ID && look.Now < looked.Add(snapshotLook) {
			return found, nil
		}
		err = manifest(ctx, last.ID)
		if _, damaged := errors.AsType[*snapshot.Damage](err); err != nil && !damaged && !errors.Is(err, snapshot.ErrNotFound) {
			return nil, fmt.Errorf("look at the snapshot %s: %w", last.ID, err)
		}
		looked, id, found = look.Now, last.ID, nil
		if err != nil {
			found = []Finding{{
				Subject: "snapshot", Severity: Critical, Facts: map[string]any{"id": last.ID, "at": last.Time},
				Message: fmt.Sprintf("The last snapshot of the database, %s, cannot be read where it should lie: %s. `worker snapshot list` shows what is there, `worker snapshot create` takes another one. Look at who empties the zone.",
					last.ID, sentence(err.Error(), 300)),
			}}
		}
		return found, nil
	}
}
