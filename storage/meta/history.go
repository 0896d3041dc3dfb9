package meta

import (
	"context"
	"slices"
	"strings"

	"gorm.io/gorm"

	"gatehouse/storage"
)

// AssetBy reads an asset of whatever tenant, also one that is deleted, with the facts of its blob and its variants.
func (db *DB) AssetBy(ctx context.Context, id string) (AssetView, error) {
	var a Asset
	g := db.g.WithContext(ctx)
	if err := g.Take(&a, "id = ?", id).Error; err != nil {
		return AssetView{}, notFound(err)
	}
	views, err := db.Tenant(ctx, a.TenantID).views([]Asset{a})
	if err != nil {
		return AssetView{}, err
	}
	return views[0], nil
}

// pairsAtOnce bounds the alternatives of one statement, of which SQLite takes no 1,000.
const pairsAtOnce = 100

// ViewsOf joins blobs and variants to assets of any tenants, in their order.
func (db *DB) ViewsOf(ctx context.Context, list []Asset) ([]AssetView, error) {
	type key struct{ tenant, sha256 string }
	blobs := map[key]Blob{}
	for part := range slices.Chunk(list, pairsAtOnce) {
		// Each by its whole key: of two lists of values the database may take the tenants' alone, and read all of a large one.
		where, args := "", []any(nil)
		for _, a := range part {
			where, args = where+" OR tenant_id = ? AND sha256 = ?", append(args, a.TenantID, a.SHA256)
		}
		var some []Blob
		if err := db.g.WithContext(ctx).Where(strings.TrimPrefix(where, " OR "), args...).Find(&some).Error; err != nil {
			return nil, err
		}
		for _, b := range some {
			blobs[key{b.TenantID, b.SHA256}] = b
		}
	}
	out := make([]AssetView, 0, len(list))
	for _, a := range list {
		b, known := blobs[key{a.TenantID, a.SHA256}]
		if !known {
			b = lost(a)
		}
		out = append(out, AssetView{Asset: a, Blob: b})
	}
	return out, nil
}

// HistoryKey is the place of an entry in a history: newest first, then by source, then the highest number first.
type HistoryKey struct {
	At     Stamp
	Source int
	ID     string
}

// The sources of a history, in the order of entries of the same time.
const (
	SourceAudit = iota
	SourceEvent
	SourceTask
)

// History is what is recorded about an asset and its blob, by source.
type History struct {
	Audit  []AuditRecord
	Events []Event
	Tasks  []Task
}

// HistoryOf reads of each source at most limit entries behind the key, newest first; a zero key is the beginning.
func (db *DB) HistoryOf(ctx context.Context, a Asset, after HistoryKey, limit int) (History, error) {
	var h History
	g := db.g.WithContext(ctx).Session(&gorm.Session{})
	// The index of targets leaves out records without one.
	err := behind(g.Where("target IN ? AND target <> '' AND tenant_id = ?", []string{a.ID, a.SHA256}, a.TenantID), after, SourceAudit, "at").
		Order("at DESC, id DESC").Limit(limit).Find(&h.Audit).Error
	if err != nil {
		return h, err
	}
	err = behind(g.Where("tenant_id = ? AND asset_id = ?", a.TenantID, a.ID), after, SourceEvent, "at").
		Order("at DESC, id DESC").Limit(limit).Find(&h.Events).Error
	if err != nil {
		return h, err
	}
	err = behind(g.Where("tenant_id = ? AND subject = ?", a.TenantID, a.SHA256), after, SourceTask, "created_at").
		Order("created_at DESC, id DESC").Limit(limit).Find(&h.Tasks).Error
	return h, err
}

// behind narrows a source to what comes behind the key.
func behind(g *gorm.DB, after HistoryKey, source int, at string) *gorm.DB {
	switch {
	case after == HistoryKey{}:
		return g
	case source < after.Source:
		return g.Where(at+" < ?", after.At)
	case source > after.Source:
		return g.Where(at+" <= ?", after.At)
	}
	return g.Where("("+at+" < ? OR "+at+" = ? AND id < ?)", after.At, after.At, after.ID)
}

// OpenTasksAbout lists tasks about a subject that are queued, running or dead.
func (t Tenant) OpenTasksAbout(subject string, limit int) ([]Task, error) {
	var out []Task
	err := t.rows(&Task{}).Where("subject = ? AND state IN ?", subject,
		[]storage.TaskState{storage.TaskQueued, storage.TaskRunning, storage.TaskDead}).Order("id DESC").Limit(limit).Find(&out).Error
	return out, err
}
