package snapshot

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"gatehouse/storage/audit"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
)

// Store takes, reads and restores snapshots.
type Store struct {
	DB *meta.DB
	// Zone is where the snapshots lie (blob.Zones.Snapshots).
	Zone blob.Bucket
	// SpoolDir is where a part lies while it is written; empty means the system's folder for temporary files.
	SpoolDir string
	// Version of the program, for the manifest.
	Version string
	Keep    Keep
	// Key signs where the chain of the audit log begins anew behind a restore; nil leaves the chain as it was.
	Key *audit.Key
	// CoolingOff is how long a deletion can be taken back; that of restored tenants that are pending deletion begins anew.
	CoolingOff time.Duration
	// PartBytes is how many bytes of rows, before they are packed, go into one part; zero means 64 MiB.
	PartBytes int64
}

const defaultPartBytes = 64 << 20

// idTime is the time in an id, to the millisecond; ids sort as their times do.
const idTime = "20060102T150405.000Z"

func newID(now time.Time) string {
	tail := make([]byte, 4)
	_, _ = rand.Read(tail) // never fails
	return now.UTC().Format(idTime) + "-" + hex.EncodeToString(tail)
}

// timeOf reads the time in an id.
func timeOf(id string) (time.Time, error) { return time.Parse(idTime, id[:min(len(id), len(idTime))]) }

// Create takes a snapshot of the database as it is now. What is left of a failed attempt is removed, or else by Prune
// after a day. The caller records it (Record).
func (s *Store) Create(ctx context.Context, reason Reason) (Manifest, error) {
	var m Manifest
	err := s.DB.ReadAll(ctx, func(r *meta.Reader) error {
		var err error
		m, err = s.export(ctx, r, reason)
		return err
	})
	return m, err
}

// export writes the parts and then the manifest.
func (s *Store) export(ctx context.Context, r *meta.Reader, reason Reason) (m Manifest, err error) {
	now := time.Now().UTC().Truncate(time.Microsecond)
	m = Manifest{
		Format: Format, ID: newID(now), Schema: meta.SchemaVersion(), Dialect: s.DB.Dialect(), Program: s.Version,
		CreatedAt: now, Reason: reason,
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("take a snapshot: %w", err), s.drop(context.WithoutCancel(ctx), m.ID))
		}
	}()
	tables, err := meta.Tables()
	if err != nil {
		return m, err
	}
	count := tally{cross: newCross(), purging: map[string]bool{}}
	for _, t := range tables {
		done, err := s.exportTable(ctx, r, m.ID, t, &count)
		if err != nil {
			return m, err
		}
		m.Tables = append(m.Tables, done)
	}
	m.Counts = count.counts()
	file, err := seal(m)
	if err != nil {
		return m, err
	}
	return m, s.Zone.Put(ctx, m.ID+"/"+manifestName, bytes.NewReader(file), int64(len(file)), blob.PutOptions{ContentType: "application/json"})
}

func (s *Store) exportTable(ctx context.Context, r *meta.Reader, id string, t meta.Table, count *tally) (Table, error) {
	out := Table{Name: t.Name, Parts: []Part{}}
	limit := s.PartBytes
	if limit <= 0 {
		limit = defaultPartBytes
	}
	var p *partWriter
	finish := func() error {
		if p == nil {
			return nil
		}
		name := fmt.Sprintf("%s.%05d.jsonl.zst", t.Name, len(out.Parts)+1)
		part, err := p.store(ctx, s.Zone, id+"/"+name)
		p = nil
		part.Name = name
		out.Parts = append(out.Parts, part)
		return err
	}
	err := r.Each(t, func(row any) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		line, err := t.Encode(row)
		if err != nil {
			return err
		}
		if p == nil {
			if p, err = newPartWriter(s.SpoolDir); err != nil {
				return err
			}
		}
		if n, ok := t.Serial(row); ok {
			out.MaxSerial = max(out.MaxSerial, n)
		}
		out.Rows++
		count.see(t.Name, row)
		if err := p.write(line); err != nil {
			return err
		}
		if p.plain >= limit {
			return finish()
		}
		return nil
	})
	if err != nil {
		if p != nil {
			err = errors.Join(err, p.file.Close())
		}
		return out, fmt.Errorf("export table %s: %w", t.Name, err)
	}
	return out, finish()
}

// FactLast is the name of the fact about the snapshot taken last; Last is its value, as JSON.
const FactLast = "snapshot.last"

// Last is what the other programs know of the snapshot taken last.
type Last struct {
	ID    string    `json:"id"`
	Time  time.Time `json:"time"`
	Bytes int64     `json:"bytes"`
	Rows  int64     `json:"rows"`
}

// LastTaken reads what was told of the snapshot taken last; storage.ErrNotFound when none was.
func LastTaken(ctx context.Context, db *meta.DB) (Last, error) {
	var last Last
	fact, err := db.FactByName(ctx, FactLast)
	if err != nil {
		return last, err
	}
	if err := json.Unmarshal([]byte(fact.Value), &last); err != nil {
		return last, fmt.Errorf("the fact %s: %w", FactLast, err)
	}
	return last, nil
}

// Record tells of a snapshot that was taken: in the audit log, and as the fact FactLast.
func Record(tx *meta.Tx, m Manifest, actor audit.Actor) error {
	if err := remember(tx, m); err != nil {
		return err
	}
	return audit.Write(tx, audit.Entry{
		Actor: actor, Action: "snapshot.create", Target: m.ID, Result: audit.OK,
		Data: map[string]any{"reason": m.Reason, "rows": m.Rows(), "bytes": m.Bytes()},
	})
}

// remember sets the fact FactLast.
func remember(tx *meta.Tx, m Manifest) error {
	raw, err := json.Marshal(Last{ID: m.ID, Time: m.CreatedAt, Bytes: m.Bytes(), Rows: m.Rows()})
	if err != nil {
		return err
	}
	if err := tx.SetFact(FactLast, string(raw)); err != nil {
		return fmt.Errorf("tell of the snapshot: %w", err)
	}
	return nil
}
