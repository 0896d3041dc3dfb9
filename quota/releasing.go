package quota

import (
	"errors"
	"fmt"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// Releasing is what a tenant has deleted and still pays for: bytes that nobody refers to are kept for Ledger.Grace.
type Releasing struct {
	Bytes int64 `json:"releasing_bytes"`
	// ReleasedAt is when the grace of the last of them is over; a sweep later they are free. Nil when there are none.
	ReleasedAt *time.Time `json:"released_at"`
}

// Releasing reads what a tenant has deleted that is not free yet.
func (l Ledger) Releasing(t meta.Tenant) (Releasing, error) {
	bytes, last, err := t.Unreferenced()
	if err != nil || bytes == 0 {
		return Releasing{}, err
	}
	at := last.Add(l.Grace).Time().UTC().Truncate(time.Second)
	return Releasing{Bytes: bytes, ReleasedAt: &at}, nil
}

// Explain adds to a refusal for want of bytes how many of them deleted files still hold, and until when: whoever was told
// to delete and did it should not wonder.
func (l Ledger) Explain(t meta.Tenant, refusal error) error {
	e, ok := errors.AsType[*storage.Error](refusal)
	if !ok || e.Code != storage.CodeQuotaExceeded || e.Details["limit"] != "bytes" {
		return refusal
	}
	held, err := l.Releasing(t)
	if err != nil {
		return fmt.Errorf("add up what is deleted: %w", err)
	}
	if held.Bytes > 0 {
		e.Details["releasing_bytes"], e.Details["released_at"] = held.Bytes, held.ReleasedAt.Format(time.RFC3339)
	}
	return refusal
}
