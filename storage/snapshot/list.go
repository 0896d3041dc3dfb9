package snapshot

import (
	"context"
	"errors"
	"strings"
	"time"
)

// Entry is one folder of the zone.
type Entry struct {
	Manifest
	// Problem says why it is no snapshot that could be restored; then only the ID is certain.
	Problem string `json:"problem,omitempty"`
	// Unfinished: it has no manifest. Newest is when its newest object was written.
	Unfinished bool      `json:"unfinished,omitempty"`
	Newest     time.Time `json:"-"`
}

// List lists all snapshots, oldest first. Those with a manifest that cannot be believed are there with their problem;
// those without one are not there.
func (s *Store) List(ctx context.Context) ([]Entry, error) {
	all, err := s.Folders(ctx)
	var out []Entry
	for _, e := range all {
		if !e.Unfinished {
			out = append(out, e)
		}
	}
	return out, err
}

// Folders lists everything that lies in the zone, folder by folder: List, and those without a manifest.
func (s *Store) Folders(ctx context.Context) ([]Entry, error) {
	var out []Entry
	for info, err := range s.Zone.List(ctx, "", "") {
		if err != nil {
			return nil, err
		}
		id, name, ok := strings.Cut(info.Key, "/")
		if !ok {
			continue // not ours
		}
		if len(out) == 0 || out[len(out)-1].ID != id {
			out = append(out, Entry{Manifest: Manifest{ID: id}, Unfinished: true})
		}
		e := &out[len(out)-1]
		if info.ModTime.After(e.Newest) {
			e.Newest = info.ModTime
		}
		e.Unfinished = e.Unfinished && name != manifestName
	}
	for i := range out {
		e := &out[i]
		if e.Unfinished {
			continue
		}
		m, err := s.Manifest(ctx, e.ID)
		if d, damaged := errors.AsType[*Damage](err); damaged {
			e.Problem = d.Error()
			continue
		}
		if errors.Is(err, ErrNotFound) { // removed meanwhile
			e.Unfinished = true
			continue
		}
		if err != nil {
			return nil, err
		}
		e.Manifest = m
	}
	return out, nil
}

// UnreadableAfter chooses among folders those that are newer than a snapshot and that nobody can restore, for want of a
// manifest that can be believed. One of them may be being taken just now.
func UnreadableAfter(folders []Entry, m Manifest) (out []Entry) {
	for _, e := range folders {
		if _, err := timeOf(e.ID); err == nil && e.ID > m.ID && (e.Unfinished || e.Problem != "") {
			out = append(out, e)
		}
	}
	return out
}

// WithMoreFiles chooses among snapshots those that are older than one and have more files than it: one of them may be from
// before a loss. Those of older programs do not know how many they have.
func WithMoreFiles(list []Entry, m Manifest) (out []Entry) {
	for _, e := range list {
		if e.Problem == "" && e.ID < m.ID && e.Counts != nil && m.Counts != nil && e.Counts.Files > m.Counts.Files {
			out = append(out, e)
		}
	}
	return out
}

// drop removes a snapshot: the manifest first, so that what is left after a crash is no snapshot.
func (s *Store) drop(ctx context.Context, id string) error {
	if err := s.Zone.Delete(ctx, id+"/"+manifestName); err != nil {
		return err
	}
	for info, err := range s.Zone.List(ctx, id+"/", "") {
		if err != nil {
			return err
		}
		if err := s.Zone.Delete(ctx, info.Key); err != nil {
			return err
		}
	}
	return nil
}
