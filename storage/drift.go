package storage

// DriftKind names a way in which records and store can differ.
type DriftKind string

// The kinds of drift. Each is looked for by storage/reconcile, and by nothing else.
const (
	// DriftOrphan: an object whose digest no row of its tenant speaks of.
	DriftOrphan DriftKind = "object_without_row"
	// DriftStray: an object of a known blob that is none of its variants.
	DriftStray DriftKind = "variant_object_without_row"
	// DriftMissing: a blob's row without an object in either zone.
	DriftMissing DriftKind = "row_without_object"
	// DriftVariantMissing: a variant's row without its object.
	DriftVariantMissing DriftKind = "variant_row_without_object"
	// DriftVariantAlone: a variant's row without its blob's.
	DriftVariantAlone DriftKind = "variant_without_original"
	// DriftAssetAlone: an asset's row without its blob's.
	DriftAssetAlone DriftKind = "asset_without_blob"
	// DriftSize and DriftDigest: the object's bytes are not those of the row.
	DriftSize   DriftKind = "size_differs"
	DriftDigest DriftKind = "digest_differs"
	// DriftZone: an object in the zone where its row does not say it is.
	DriftZone DriftKind = "wrong_zone"
	// DriftLedger: a tenant's used or reserved sums are not those of its rows.
	DriftLedger DriftKind = "ledger_drift"
	// DriftReferences: a blob's count of references is not the number of its assets.
	DriftReferences DriftKind = "reference_count_wrong"
	// DriftAsset: an asset whose state or size is not the one that its blob gives it.
	DriftAsset DriftKind = "asset_differs"
	// DriftStuck: a blob that waits for a scan or for variants while no task will ever do it.
	DriftStuck DriftKind = "stuck_without_task"
	// DriftReservation: quota held for an upload that has ended.
	DriftReservation DriftKind = "reservation_without_upload"
	// DriftTenant: records of a tenant that has no row itself, or one that says that it is over: nobody can reach them.
	DriftTenant DriftKind = "records_without_tenant"
	// DriftPlan: a tenant on a plan that has no row: its quota is unknown, so it is refused everything.
	DriftPlan DriftKind = "tenant_without_plan"
)

// Repair names what a reconciliation would do about a finding. None of them loses bytes.
type Repair string

// The repairs.
const (
	// RepairNone: only people can say what to do.
	RepairNone Repair = ""
	// RepairTrash moves an object under the trash prefix, from where it can come back until it is purged.
	RepairTrash Repair = "trash"
	// RepairDamaged marks the blob, so that its assets are seen to be damaged and its bytes are not served.
	RepairDamaged Repair = "mark_damaged"
	// RepairHeal puts bytes that turned up again into quarantine and has them scanned; the scan ends the damage. What is infected
	// stays so, without a scan.
	RepairHeal Repair = "heal"
	// RepairRescan queues a scan, which finds the bytes in whichever zone they are and puts them where they belong. What is
	// infected goes back into quarantine without one.
	RepairRescan Repair = "rescan"
	// RepairRow makes the blob's row anew from its asset and its object, and has it scanned.
	RepairRow Repair = "remake_row"
	// RepairVariants drops the row of a lost variant and queues its media task.
	RepairVariants Repair = "remake_variants"
	// RepairDropVariant drops the row of a variant that has no original.
	RepairDropVariant Repair = "drop_variant_row"
	// RepairLedger and RepairReferences write down what the rows say.
	RepairLedger     Repair = "set_ledger"
	RepairReferences Repair = "set_references"
	// RepairAssets writes what the blob's row says into those of its assets.
	RepairAssets Repair = "set_assets"
	// RepairTask queues the task that was lost.
	RepairTask Repair = "queue_task"
	// RepairReservation drops the reservation.
	RepairReservation Repair = "drop_reservation"
)

// Damage says what is wrong with a blob's bytes; empty means nothing.
type Damage string

// The kinds of damage.
const (
	DamageMissing Damage = "missing"
	DamageSize    Damage = "size"
	DamageDigest  Damage = "digest"
)
