package drift

import (
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// drift is one way in which a system can go wrong. It reports false when it cannot come over that family: there is no
// such row or object any more.
type drift struct {
	name string
	do   func(w *world, f *family) bool
}

// drifts is THE list of what comes over a system, each kind of storage.DriftKind in all its forms, and what heals damage.
var drifts = []drift{
	{"object lost", func(w *world, f *family) bool {
		return w.onHome(f, func(z storage.Zone, _ []byte) { w.remove(z, f.key()) })
	}},
	{"object truncated", func(w *world, f *family) bool {
		return w.onHome(f, func(z storage.Zone, c []byte) { w.put(z, f.key(), c[:w.rng.IntN(len(c))]) })
	}},
	{"object grown", func(w *world, f *family) bool {
		return w.onHome(f, func(z storage.Zone, c []byte) { w.put(z, f.key(), append(c, 'x')) })
	}},
	{"object flipped", func(w *world, f *family) bool {
		return w.onHome(f, func(z storage.Zone, c []byte) { w.put(z, f.key(), flip(w.rng, c)) })
	}},
	{"object in the other zone only", func(w *world, f *family) bool {
		return w.onHome(f, func(z storage.Zone, c []byte) { w.put(other(z), f.key(), c); w.remove(z, f.key()) })
	}},
	{"object in both zones", func(w *world, f *family) bool {
		return w.onHome(f, func(z storage.Zone, c []byte) { w.put(other(z), f.key(), c) })
	}},
	{"object in the trash only", func(w *world, f *family) bool {
		return w.onHome(f, func(z storage.Zone, c []byte) {
			w.put(storage.ZoneQuarantine, trashed(z, f.key()), c)
			w.remove(z, f.key())
		})
	}},
	{"bytes turned up", turnUp},
	{"object without row", orphan},
	{"variant object without row", stray},
	{"variant object lost", func(w *world, f *family) bool {
		return w.onVariant(f, func(v meta.Variant, _ []byte) { w.remove(storage.ZoneClean, v.Key()) })
	}},
	{"variant object truncated", func(w *world, f *family) bool {
		return w.onVariant(f, func(v meta.Variant, c []byte) { w.put(storage.ZoneClean, v.Key(), c[:w.rng.IntN(len(c))]) })
	}},
	{"variant object flipped", func(w *world, f *family) bool {
		return w.onVariant(f, func(v meta.Variant, c []byte) { w.put(storage.ZoneClean, v.Key(), flip(w.rng, c)) })
	}},
	{"variant object in both zones", func(w *world, f *family) bool {
		return w.onVariant(f, func(v meta.Variant, c []byte) { w.put(storage.ZoneQuarantine, v.Key(), c) })
	}},
	{"blob's row lost", func(w *world, f *family) bool {
		return w.gone(`DELETE FROM blobs WHERE tenant_id = ? AND sha256 = ?`, f)
	}},
	{"asset's row lost", func(w *world, f *family) bool {
		for _, a := range w.rows.Assets {
			if a.TenantID == f.tenant && a.SHA256 == f.sha256 {
				return w.try(`DELETE FROM assets WHERE id = ?`, a.ID)
			}
		}
		return false
	}},
	{"variant's row lost", func(w *world, f *family) bool {
		return w.onVariant(f, func(v meta.Variant, _ []byte) {
			f.lostVariant = w.try(`DELETE FROM variants WHERE tenant_id = ? AND sha256 = ? AND preset = ?`, v.TenantID, v.SHA256, v.Preset) || f.lostVariant
		})
	}},
	{"all rows lost", func(w *world, f *family) bool {
		some := false
		for _, table := range []string{"assets", "blobs", "variants"} {
			some = w.gone(`DELETE FROM `+table+` WHERE tenant_id = ? AND sha256 = ?`, f) || some
		}
		w.gone(`DELETE FROM tasks WHERE tenant_id = ? AND subject = ?`, f)
		return some
	}},
	{"references up", func(w *world, f *family) bool {
		return w.gone(`UPDATE blobs SET refs = refs + 2 WHERE tenant_id = ? AND sha256 = ?`, f)
	}},
	{"references down", func(w *world, f *family) bool {
		return w.gone(`UPDATE blobs SET refs = refs - 1 WHERE tenant_id = ? AND sha256 = ? AND refs > 0`, f)
	}},
	{"references zero", func(w *world, f *family) bool {
		return w.gone(`UPDATE blobs SET refs = 0 WHERE tenant_id = ? AND sha256 = ? AND refs > 0`, f)
	}},
	{"asset's state", func(w *world, f *family) bool {
		states := []storage.AssetState{storage.AssetQuarantined, storage.AssetAvailable, storage.AssetRejected}
		return w.try(`UPDATE assets SET state = ? WHERE tenant_id = ? AND sha256 = ? AND state <> 'deleted'`, states[w.rng.IntN(3)], f.tenant, f.sha256)
	}},
	{"task lost", func(w *world, f *family) bool {
		return w.gone(`DELETE FROM tasks WHERE tenant_id = ? AND subject = ?`, f)
	}},
	{"ledger", func(w *world, f *family) bool {
		column := []string{"used_bytes", "reserved_bytes", "used_files", "reserved_files"}[w.rng.IntN(4)]
		by := 1 + w.rng.IntN(1000)
		if w.rng.IntN(2) == 0 {
			return w.try(fmt.Sprintf(`UPDATE tenants SET %s = %s + ? WHERE id = ?`, column, column), by, f.tenant)
		}
		return w.try(fmt.Sprintf(`UPDATE tenants SET %s = 0 WHERE id = ? AND %s > 0`, column, column), f.tenant)
	}},
	{"reservation without sum", func(w *world, f *family) bool { w.reservation(f, time.Hour); return true }},
	{"sum without reservation", func(w *world, f *family) bool { return w.try(`DELETE FROM reservations WHERE tenant_id = ?`, f.tenant) }},
	{"reservation ended", func(w *world, f *family) bool {
		bytes := w.reservation(f, -time.Hour)
		return w.try(`UPDATE tenants SET reserved_bytes = reserved_bytes + ?, reserved_files = reserved_files + 1 WHERE id = ?`, bytes, f.tenant)
	}},
}

// strike lets some drift come over the world, sometimes several over one family.
func (w *world) strike() {
	w.t.Helper()
	var f *family
	for range w.rng.IntN(16) {
		if f == nil || w.rng.IntN(3) > 0 {
			f = w.fams[w.rng.IntN(len(w.fams))]
		}
		d := drifts[w.rng.IntN(len(drifts))]
		if d.do(w, f) {
			f.hit = true
			w.did = append(w.did, fmt.Sprintf("%s: %s", d.name, f.key()))
		}
	}
}

// try is exec without the demand that there is such a row.
func (w *world) try(sql string, args ...any) bool {
	w.t.Helper()
	n, err := w.db.Exec(ctx, sql, args...)
	require.NoError(w.t, err)
	return n > 0
}

func (w *world) gone(sql string, f *family) bool { return w.try(sql, f.tenant, f.sha256) }

// onHome hands the blob's object and its zone to do, if there is one with at least one byte.
func (w *world) onHome(f *family, do func(zone storage.Zone, content []byte)) bool {
	for _, zone := range bothZones {
		if content, there := w.get(zone, f.key()); there && len(content) > 0 {
			do(zone, content)
			return true
		}
	}
	return false
}

// onVariant hands one of the family's first variants and its object to do.
func (w *world) onVariant(f *family, do func(v meta.Variant, content []byte)) bool {
	var list []meta.Variant
	for _, v := range w.rows.Variants {
		if v.TenantID == f.tenant && v.SHA256 == f.sha256 {
			list = append(list, v)
		}
	}
	if len(list) == 0 {
		return false
	}
	v := list[w.rng.IntN(len(list))]
	content, there := w.get(storage.ZoneClean, v.Key())
	if !there || len(content) == 0 {
		return false
	}
	do(v, content)
	return true
}

// trashed is where the reconciliation would put an object.
func trashed(zone storage.Zone, key string) string { return "trash/" + string(zone) + "/" + key }

func flip(rng *rand.Rand, content []byte) []byte {
	out := append([]byte{}, content...)
	out[rng.IntN(len(out))] ^= 1 << rng.IntN(8)
	return out
}

// turnUp brings the bytes of a damaged blob back.
func turnUp(w *world, f *family) bool {
	for _, b := range w.rows.Blobs {
		if b.TenantID != f.tenant || b.SHA256 != f.sha256 || b.Damage == "" {
			continue
		}
		switch w.rng.IntN(4) {
		case 0:
			w.put(b.Zone, f.key(), f.content)
		case 1:
			w.put(other(b.Zone), f.key(), f.content)
		case 2:
			w.put(storage.ZoneQuarantine, trashed(storage.ZoneClean, f.key()), f.content)
		default:
			w.put(storage.ZoneQuarantine, trashed(storage.ZoneQuarantine, f.key()), f.content)
		}
		return true
	}
	return false
}

// orphan puts objects of a digest that no row speaks of, of a tenant that there is or is not.
func orphan(w *world, f *family) bool {
	o := &family{content: []byte(fmt.Sprintf("orphan %d", w.rng.Uint64())), category: storage.CategoryImage, hit: true}
	o.id = id{f.tenant, digestOf(o.content)}
	if w.rng.IntN(3) == 0 {
		o.tenant = meta.NewID()
	}
	zone := bothZones[w.rng.IntN(2)]
	w.put(zone, o.key(), o.content)
	if w.rng.IntN(3) == 0 {
		w.put(other(zone), o.key(), o.content)
	}
	if w.rng.IntN(2) == 0 {
		w.put(storage.ZoneClean, variantOf(o.id, "w320").Key(), derived(o.sha256, "w320"))
	}
	w.fams = append(w.fams, o)
	return true
}

// stray puts an object beside a family's variants.
func stray(w *world, f *family) bool {
	zone := bothZones[w.rng.IntN(2)]
	key := []string{
		storage.VariantKey(f.tenant, f.sha256, "w9999", "", "webp"),
		storage.VariantKey(f.tenant, f.sha256, "w320", "0123456789ab", "webp"),
	}[w.rng.IntN(2)]
	if _, err := os.Stat(w.file(zone, key)); err == nil {
		return false
	}
	w.put(zone, key, []byte("stray "+key))
	return true
}

func (w *world) reservation(f *family, ends time.Duration) int64 {
	w.t.Helper()
	r := meta.Reservation{
		ID: meta.NewID(), TenantID: f.tenant, Bytes: int64(1 + w.rng.IntN(300)), ExpiresAt: meta.Now().Add(ends), CreatedAt: meta.Now(),
	}
	w.inTx(func(tx *meta.Tx) error { row := r; return tx.Create(&row) })
	return r.Bytes
}
