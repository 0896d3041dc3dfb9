package snapshot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
)

// Asked is the subject of the task of a snapshot that somebody asked for; a worker takes it.
const Asked = "asked"

// CreateTask asks a worker for a snapshot. One is open at a time, as of each VerifyTask.
func CreateTask() meta.NewTask {
	return meta.NewTask{Kind: storage.TaskSnapshot, Subject: Asked, Unique: true}
}

// VerifyTask asks a worker to read a whole snapshot.
func VerifyTask(id string) meta.NewTask {
	return meta.NewTask{Kind: storage.TaskVerify, Subject: id, Unique: true}
}

// Verdict is what the last look at every byte of a snapshot found.
type Verdict struct {
	At       time.Time                   `json:"at"`
	Damage   []string                    `json:"damage"`
	Warnings []string                    `json:"warnings"`
	Drift    map[storage.DriftKind]int64 `json:"drift"`
}

// Whole reports whether the snapshot can be restored.
func (v Verdict) Whole() bool { return len(v.Damage) == 0 }

// factVerified keeps the verdicts by snapshot, those of the newest verdictsKept: ids sort as their times do.
const (
	factVerified = "snapshot.verified"
	verdictsKept = 100
)

// RecordVerify tells what a look found: in the audit log, and for Verdicts.
func RecordVerify(tx *meta.Tx, id string, v Verdict, actor audit.Actor) error {
	f, err := tx.LockFact(factVerified)
	if err != nil {
		return err
	}
	all := verdicts(f.Value)
	v.At = time.Now().UTC().Truncate(time.Second)
	v.Damage, v.Warnings = append([]string{}, v.Damage...), append([]string{}, v.Warnings...)
	all[id] = v
	if len(all) > verdictsKept {
		ids := make([]string, 0, len(all))
		for id := range all {
			ids = append(ids, id)
		}
		slices.Sort(ids)
		for _, old := range ids[:len(ids)-verdictsKept] {
			delete(all, old)
		}
	}
	raw, err := json.Marshal(all)
	if err != nil {
		return err
	}
	if err := tx.SetFact(factVerified, string(raw)); err != nil {
		return fmt.Errorf("tell of the look at the snapshot: %w", err)
	}
	result := audit.OK
	if !v.Whole() {
		result = audit.Failed
	}
	return audit.Write(tx, audit.Entry{
		Actor: actor, Action: "snapshot.verify", Target: id, Result: result,
		Data: map[string]any{"damage": len(v.Damage), "drift": v.Drift, "warnings": len(v.Warnings)},
	})
}

// Verdicts reads what the last looks found, by snapshot.
func Verdicts(ctx context.Context, db *meta.DB) (map[string]Verdict, error) {
	f, err := db.FactByName(ctx, factVerified)
	if errors.Is(err, storage.ErrNotFound) {
		return map[string]Verdict{}, nil
	}
	return verdicts(f.Value), err
}

func verdicts(value string) map[string]Verdict {
	out := map[string]Verdict{}
	if json.Unmarshal([]byte(value), &out) != nil {
		return map[string]Verdict{} // not there yet, or of another version: the next look says it anew
	}
	return out
}

// ErrNewest refuses to remove the newest snapshot that can be restored.
var ErrNewest = errors.New("it is the newest snapshot that can be restored")

// Remove removes a snapshot for good. The caller records it.
func (s *Store) Remove(ctx context.Context, id string, now time.Time) error {
	list, err := s.List(ctx)
	if err != nil {
		return err
	}
	there, newest := false, ""
	for _, e := range list {
		there = there || e.ID == id
		if e.Problem == "" && !e.OfTheFuture(now) {
			newest = e.ID
		}
	}
	if !there {
		return ErrNotFound
	}
	if id == newest {
		return ErrNewest
	}
	return s.drop(ctx, id)
}
