package tenancy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
)

// ErrNameTaken says that there is a tenant of that name.
var ErrNameTaken = errors.New("the name is taken")

func (p Provisioner) writeRow(ctx context.Context, d *draft) error {
	return p.DB.InTx(ctx, func(tx *meta.Tx) error {
		// Locked, so that the plan is not removed at this moment.
		if _, err := tx.LockPlan(d.plan); err != nil {
			return fmt.Errorf("plan %s: %w", d.plan, err)
		}
		now := meta.Now()
		t := meta.TenantRow{ID: d.id, Name: d.name, Plan: d.plan, State: storage.TenantProvisioning, CreatedAt: now, UpdatedAt: now}
		created, err := tx.CreateTenant(&t)
		if err != nil {
			return err
		}
		if !created {
			return ErrNameTaken
		}
		data := map[string]any{"name": d.name, "plan": d.plan}
		if p.Reason != "" {
			data["reason"] = p.Reason
		}
		return p.write(tx, d.id, "tenant.create", d.id, data)
	})
}

// fail is the end of a provisioning that was taken back. The name is free again.
func (p Provisioner) fail(ctx context.Context, id string) error {
	return p.DB.InTx(ctx, func(tx *meta.Tx) error {
		t, err := tx.LockTenant(id)
		if err != nil {
			return err
		}
		if t.State == storage.TenantFailed {
			return nil
		}
		if err := tx.FailTenant(t, FormerName(t.Name, "failed", id)); err != nil {
			return err
		}
		return p.write(tx, id, "tenant.fail", id, map[string]any{
			"before": t.State, "after": storage.TenantFailed, "name": t.Name, "reason": t.StateReason,
		})
	})
}

// probeKey is where the zone check writes: under the tenant's prefix, as everything of the tenant's will be.
func probeKey(id string) string { return id + "/probe" }

// checkZones makes sure that the store takes, gives back and removes an object of this tenant, in both zones.
func (p Provisioner) checkZones(ctx context.Context, d *draft) error {
	for _, zone := range zones {
		if err := probe(ctx, p.Zones.Of(zone), probeKey(d.id)); err != nil {
			return fmt.Errorf("zone %s: %w", zone, err)
		}
	}
	return nil
}

// zones are those that hold what belongs to tenants.
var zones = []storage.Zone{storage.ZoneQuarantine, storage.ZoneClean}

func probe(ctx context.Context, bucket blob.Bucket, key string) error {
	want := []byte(key)
	if err := bucket.Put(ctx, key, bytes.NewReader(want), int64(len(want)), blob.PutOptions{ContentType: "text/plain"}); err != nil {
		return err
	}
	r, _, err := bucket.Open(ctx, key, 0, -1)
	if err != nil {
		return err
	}
	got, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		return fmt.Errorf("read %s: %w", key, err)
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("read %s: the store gave back other bytes than it was given", key)
	}
	return bucket.Delete(ctx, key)
}

func (p Provisioner) removeProbes(ctx context.Context, id string) error {
	for _, zone := range zones {
		if err := p.Zones.Of(zone).Delete(ctx, probeKey(id)); err != nil {
			return fmt.Errorf("zone %s: %w", zone, err)
		}
	}
	return nil
}

func (p Provisioner) writeKey(ctx context.Context, d *draft) error {
	return p.DB.InTx(ctx, func(tx *meta.Tx) error {
		if _, err := tx.FenceProvisioning(d.id); err != nil {
			return err
		}
		key, hash := p.NewKey()
		row := meta.APIKey{ID: meta.NewID(), TenantID: d.id, Name: "default", Hash: hash, Scopes: p.Scopes, CreatedAt: meta.Now()}
		if err := tx.Create(&row); err != nil {
			return err
		}
		d.key = key
		return p.write(tx, d.id, "key.create", row.ID, map[string]any{"name": row.Name, "scopes": row.Scopes})
	})
}

func (p Provisioner) removeKeys(ctx context.Context, id string) error {
	return p.DB.InTx(ctx, func(tx *meta.Tx) error { return tx.Tenant(id).RemoveKeys() })
}

func (p Provisioner) activate(ctx context.Context, d *draft) error {
	return p.DB.InTx(ctx, func(tx *meta.Tx) error {
		t, err := tx.FenceProvisioning(d.id)
		if err != nil {
			return err
		}
		if err := tx.MoveTenant(t, storage.TenantActive, "", nil); err != nil {
			return err
		}
		return p.write(tx, d.id, "tenant.activate", d.id, map[string]any{"before": t.State, "after": storage.TenantActive})
	})
}

func (p Provisioner) write(tx *meta.Tx, tenantID, action, target string, data map[string]any) error {
	return audit.Write(tx, audit.Entry{Actor: p.Actor, TenantID: tenantID, Action: action, Target: target, Result: audit.OK, Data: data})
}

// MaxName is how many bytes the name of a tenant may have: what its column holds.
const MaxName = 190

// FormerName is what a tenant that is over is called, so that its name is free again: "name (failed 1a2b3c4d)". The id's
// end tells it from others of the name.
func FormerName(name, what, id string) string {
	suffix := " (" + what + " " + id[max(0, len(id)-8):] + ")"
	for len(name)+len(suffix) > MaxName {
		_, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
	}
	return name + suffix
}
