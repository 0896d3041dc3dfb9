package admin

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// activityDays is how many days a tenant's activity is of, today among them.
const activityDays = 30

// Activity is what a tenant did in the last 30 days, as far as the audit log is counted.
type Activity struct {
	Uploads  int64 `json:"uploads_30d"`
	Bytes    int64 `json:"bytes_30d"`
	Refusals int64 `json:"refusals_30d"`
	// Rejected are files in which the scan found something.
	Rejected int64 `json:"rejected_30d"`
}

// TenantLine is a tenant in a list. Sizes are bytes.
type TenantLine struct {
	ID            string              `json:"id"`
	Name          string              `json:"name"`
	Plan          string              `json:"plan"`
	State         storage.TenantState `json:"state"`
	Reason        string              `json:"reason"`
	Files         int64               `json:"files"`
	UsedBytes     int64               `json:"storage_used_bytes"`
	ReservedBytes int64               `json:"storage_reserved_bytes"`
	// QuotaBytes is null where the plan has no record and the tenant no quota of its own; UsedPercent then, too, and where the
	// quota is nothing.
	QuotaBytes   *int64     `json:"storage_quota_bytes"`
	UsedPercent  *float64   `json:"storage_used_percent"`
	OwnQuota     bool       `json:"own_quota"`
	Overrides    bool       `json:"has_overrides"`
	CreatedAt    time.Time  `json:"created_at"`
	DeleteAfter  *time.Time `json:"delete_after"`
	LastUploadAt *time.Time `json:"last_upload_at"`
	Activity

	place meta.TenantKey
}

// Place is where the line stands in the order of its list.
func (l TenantLine) Place() meta.TenantKey { return l.place }

// TenantLines lists tenants in the order of the filter, at most limit of those behind a place.
func (a Admin) TenantLines(ctx context.Context, f meta.TenantFilter, after *meta.TenantKey, limit int) ([]TenantLine, error) {
	if !f.Sort.Known() {
		return nil, refuse(storage.CodeMalformedRequest, "sort",
			"Tenants are sorted by name, created, used or last_upload.", "租户可按 name、created、used 或 last_upload 排序。")
	}
	rows, err := a.DB.TenantPage(ctx, f, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list tenants: %w", err)
	}
	ids := make([]string, len(rows))
	for i, r := range rows {
		ids[i] = r.ID
	}
	did, err := a.DB.ActivityOf(ctx, ids, meta.Now().Day()-activityDays+1)
	if err != nil {
		return nil, fmt.Errorf("add up the activity: %w", err)
	}
	out := make([]TenantLine, len(rows))
	for i, r := range rows {
		out[i] = lineOf(r, did[r.ID])
		out[i].place = r.Key(f.Sort)
	}
	return out, nil
}

func lineOf(r meta.TenantLine, did meta.TenantDay) TenantLine {
	l := TenantLine{
		ID: r.ID, Name: r.Name, Plan: r.Plan, State: r.State, Reason: r.StateReason, Files: r.UsedFiles, UsedBytes: r.UsedBytes,
		ReservedBytes: r.ReservedBytes, QuotaBytes: r.Quota, OwnQuota: r.QuotaOverride != nil, Overrides: r.Overrides != "" && r.Overrides != "{}",
		CreatedAt: r.CreatedAt.Time(), LastUploadAt: r.LastUploadAt.TimeIfSet(), Activity: activityOf(did),
	}
	if r.Quota != nil && *r.Quota > 0 {
		percent := math.Round(float64(r.UsedBytes)/float64(*r.Quota)*1000) / 10
		l.UsedPercent = &percent
	}
	if r.State == storage.TenantPendingDelete {
		l.DeleteAfter = r.DeleteAfter.TimeIfSet()
	}
	return l
}

func activityOf(d meta.TenantDay) Activity {
	return Activity{Uploads: d.Uploads, Bytes: d.Bytes, Refusals: d.Refusals, Rejected: d.Rejected}
}

// activity fills in what a tenant that is shown did lately.
func (a Admin) activity(ctx context.Context, t *Tenant) error {
	did, err := a.DB.ActivityOf(ctx, []string{t.ID}, meta.Now().Day()-activityDays+1)
	if err != nil {
		return fmt.Errorf("add up the activity: %w", err)
	}
	last, err := a.DB.Tenant(ctx, t.ID).LastUpload()
	if err != nil {
		return fmt.Errorf("read the last upload: %w", err)
	}
	lately := activityOf(did[t.ID])
	t.Activity, t.LastUploadAt = &lately, last.TimeIfSet()
	return nil
}

// RenameTenant gives a tenant another name. Its id stays, and with it its files, its keys and its history.
func (a Admin) RenameTenant(ctx context.Context, tenant, name string) (Change, error) {
	if err := checkName(name); err != nil {
		return Change{}, err
	}
	c, err := a.onTenant(ctx, tenant, func(tx *meta.Tx, t meta.TenantRow) (Change, error) {
		if err := changeable(t); err != nil {
			return Change{}, err
		}
		c := Change{What: "name", Before: t.Name, After: name}
		if err := tx.RenameTenant(t.ID, name); err != nil {
			return Change{}, err
		}
		return c, a.write(tx, t.ID, "tenant.rename", t.ID, map[string]any{"before": c.Before, "after": c.After})
	})
	if errors.Is(err, meta.ErrNameTaken) {
		if taken := a.nameIsFree(ctx, name); taken != nil {
			err = taken
		}
	}
	if err == nil {
		c.Name = name
	}
	return c, err
}
