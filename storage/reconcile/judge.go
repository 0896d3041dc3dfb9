package reconcile

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
)

// THE table of what a reconciliation does about each kind of drift. Where it depends, judge says so beside the finding.
var plans = map[storage.DriftKind]storage.Repair{
	storage.DriftOrphan:         storage.RepairTrash,
	storage.DriftStray:          storage.RepairTrash,
	storage.DriftMissing:        storage.RepairDamaged, // of a blob that is marked already: none, or heal when bytes have turned up
	storage.DriftVariantMissing: storage.RepairVariants,
	storage.DriftVariantAlone:   storage.RepairDropVariant,
	storage.DriftAssetAlone:     storage.RepairRow,
	storage.DriftSize:           storage.RepairDamaged, // of a variant: remake_variants
	storage.DriftDigest:         storage.RepairDamaged,
	storage.DriftZone:           storage.RepairRescan, // trash when the right zone has the object too
	storage.DriftLedger:         storage.RepairLedger,
	storage.DriftReferences:     storage.RepairReferences,
	storage.DriftAsset:          storage.RepairAssets,
	storage.DriftStuck:          storage.RepairTask,
	storage.DriftReservation:    storage.RepairReservation,
	storage.DriftTenant:         storage.RepairNone, // what a tenant was called, and what it may do, only a snapshot knows
	storage.DriftPlan:           storage.RepairNone,
}

// Kinds lists every kind of drift that is looked for.
func Kinds() []storage.DriftKind { return slices.Sorted(maps.Keys(plans)) }

// judge says what is wrong with all there is of one digest. old tells objects that have outlived the grace that every
// writer has to write its row; of younger ones nothing is said that their row could still put right.
//
// It trusts what it is given. The comparison reads its streams at different times, so what comes out is looked at again
// (recheck) before it is a finding.
func (k *kin) judge(old func(blob.Info) bool) []meta.ReconcileFinding {
	switch {
	case k.blob == nil:
		return k.judgeAlone(old)
	case k.blob.Sweeping:
		return nil // the sweeper's, with all objects
	}
	return append(k.judgeBlob(old), k.judgeVariants(old)...)
}

// judgeAlone is about what has no row of a blob.
func (k *kin) judgeAlone(old func(blob.Info) bool) []meta.ReconcileFinding {
	var out []meta.ReconcileFinding
	rows := map[string]bool{} // their objects go with them
	for _, v := range k.variants {
		rows[v.Key()] = true
		out = append(out, k.finding(storage.DriftVariantAlone, storage.ZoneClean, v.Key(), v.Preset, facts{"size": v.Size}))
	}
	for _, zone := range bothZones {
		for _, o := range k.objects[zone] {
			if old(o.Info) && !(zone == storage.ZoneClean && rows[o.Key]) {
				out = append(out, k.finding(storage.DriftOrphan, zone, o.Key, o.of.Preset, facts{"size": o.Size, "modified": o.ModTime.UTC()}))
			}
		}
	}
	return out
}

// judgeBlob is about the object of a blob: in its zone, of its size, and nowhere else. The age of an object counts only
// for a second copy, which a scan makes before it moves the row. For the rest it does not matter: the object of a row
// comes before the row, and the bytes under a digest have one size.
func (k *kin) judgeBlob(old func(blob.Info) bool) []meta.ReconcileFinding {
	b, other := k.blob, k.blob.Zone.Other()
	here, there := k.find(b.Zone, k.key), k.find(other, k.key)
	switch {
	case b.Damage != "": // known: each run names it again, and recheck plans to heal it when bytes have turned up
		f := k.finding(damages[b.Damage], b.Zone, k.key, "", facts{"size": b.Size, "marked": b.Damage})
		f.Repair = storage.RepairNone
		return []meta.ReconcileFinding{f}
	case here == nil && there != nil && there.Size == b.Size:
		return []meta.ReconcileFinding{k.finding(storage.DriftZone, other, k.key, "", facts{"expected": b.Zone, "size": there.Size})}
	case here == nil:
		return []meta.ReconcileFinding{k.finding(storage.DriftMissing, b.Zone, k.key, "", facts{"size": b.Size})}
	case here.Size != b.Size:
		return []meta.ReconcileFinding{k.finding(storage.DriftSize, b.Zone, k.key, "", facts{"expected": b.Size, "size": here.Size})}
	case there != nil && old(*there):
		f := k.finding(storage.DriftZone, other, k.key, "", facts{"expected": b.Zone, "size": there.Size, "copy": true})
		f.Repair = storage.RepairTrash
		return []meta.ReconcileFinding{f}
	}
	return nil
}

// damages is the kind of drift that each kind of damage is.
var damages = map[storage.Damage]storage.DriftKind{
	storage.DamageMissing: storage.DriftMissing, storage.DamageSize: storage.DriftSize, storage.DamageDigest: storage.DriftDigest,
}

// judgeVariants is about the objects of variants, which lie in the clean zone only.
func (k *kin) judgeVariants(old func(blob.Info) bool) []meta.ReconcileFinding {
	var out []meta.ReconcileFinding
	rows := map[string]bool{}
	for _, v := range k.variants {
		key := v.Key()
		rows[key] = true
		o := k.find(storage.ZoneClean, key)
		switch {
		case o == nil:
			out = append(out, k.finding(storage.DriftVariantMissing, storage.ZoneClean, key, v.Preset, facts{"size": v.Size}))
		case o.Size != v.Size && (v.KeyTag != "" || old(*o)): // an object without a tag may have been replaced just now
			f := k.finding(storage.DriftSize, storage.ZoneClean, key, v.Preset, facts{"expected": v.Size, "size": o.Size})
			f.Repair = storage.RepairVariants
			out = append(out, f)
		}
	}
	for _, zone := range bothZones {
		for _, o := range k.objects[zone] {
			if o.of.Preset == "" || !old(o.Info) || zone == storage.ZoneClean && rows[o.Key] {
				continue
			}
			f := k.finding(storage.DriftStray, zone, o.Key, o.of.Preset, facts{"size": o.Size, "modified": o.ModTime.UTC()})
			if rows[o.Key] {
				f.Kind = storage.DriftZone
			}
			out = append(out, f)
		}
	}
	return out
}

// facts become the detail of a finding.
type facts map[string]any

func (f facts) json() string {
	b, err := json.Marshal(f)
	if err != nil {
		return fmt.Sprintf(`{"error": %q}`, err)
	}
	return string(b)
}

func (k *kin) finding(kind storage.DriftKind, zone storage.Zone, key, preset string, detail facts) meta.ReconcileFinding {
	return meta.ReconcileFinding{
		TenantID: k.tenantID, SHA256: k.sha256, Kind: kind, Zone: zone, ObjectKey: key, Preset: preset,
		Detail: detail.json(), Repair: plans[kind], State: meta.FindingOpen,
	}
}
