package meta

import (
	"gatehouse/storage"
)

// Plan is what a group of tenants may do. Spec holds the refinements as JSON (quota.Spec).
type Plan struct {
	Name         string `gorm:"primaryKey"`
	StorageBytes int64
	Spec         string
	UpdatedAt    Stamp `gorm:"autoUpdateTime:false"`
}

// TenantRow is a tenant with its ledger. UsedBytes is the sum of its stored blobs and variants;
// ReservedBytes the sum of its open reservations. Only package quota writes the two.
type TenantRow struct {
	ID            string `gorm:"primaryKey"`
	Name          string
	Plan          string
	State         storage.TenantState
	QuotaOverride *int64
	UsedBytes     int64
	ReservedBytes int64
	// UsedFiles counts its assets that are not deleted, ReservedFiles its open reservations.
	UsedFiles     int64
	ReservedFiles int64
	// Overrides are the tenant's own refinements of its plan, as JSON (quota.Spec); empty means none.
	Overrides string
	// StateReason says why the tenant is in its state. RestoreState is where one that is pending deletion may return to;
	// it is empty once its purge has begun.
	StateReason  string
	RestoreState storage.TenantState
	// DeleteAfter is when a tenant that is pending deletion is purged.
	DeleteAfter Stamp
	// RateCount uploads have begun in the minute RateMinute, counted from the Unix epoch.
	RateMinute int64
	RateCount  int64
	CreatedAt  Stamp `gorm:"autoCreateTime:false"`
	UpdatedAt  Stamp `gorm:"autoUpdateTime:false"`
}

// TableName names the table.
func (TenantRow) TableName() string { return "tenants" }

// APIKey is a tenant's key; the secret itself is never stored, only its SHA-256.
type APIKey struct {
	ID        string `gorm:"primaryKey"`
	TenantID  string
	Name      string
	Hash      string
	Scopes    string
	CreatedAt Stamp `gorm:"autoCreateTime:false"`
	ExpiresAt Stamp
	RevokedAt Stamp
}

// TableName names the table.
func (APIKey) TableName() string { return "api_keys" }

// Reservation is quota held for bytes that are on their way.
type Reservation struct {
	ID        string `gorm:"primaryKey"`
	TenantID  string
	Bytes     int64
	ExpiresAt Stamp
	CreatedAt Stamp `gorm:"autoCreateTime:false"`
}

// Blob is the bytes of one or more assets of a tenant, addressed by SHA-256. The verdict and the media facts
// belong to it, not to the assets.
type Blob struct {
	TenantID string `gorm:"primaryKey"`
	SHA256   string `gorm:"primaryKey;column:sha256"`
	// SHA512 is in hex, of release artifacts only: update clients ask for it.
	SHA512    string `gorm:"column:sha512"`
	Size      int64
	MediaType string
	Category  storage.Category
	Zone      storage.Zone
	// Width and Height are what intake read in the header, then, once the media job has run, the size as shown.
	Width  int64
	Height int64
	Frames int64
	// Refs counts the assets on this blob that are not deleted; at zero UnreferencedAt is set and the sweeper
	// may take the blob after its grace time. Both are written in references.go only.
	Refs           int64
	UnreferencedAt Stamp
	// Sweeping is set while the sweeper removes the blob's objects: nothing may link to it any more.
	Sweeping bool

	ScanStatus    storage.ScanStatus
	ScanSignature string
	ScanEngine    string
	ScanDatabase  string
	ScanBytes     int64
	ScanDigest    string
	ScannedAt     Stamp

	MediaStatus   storage.MediaStatus
	MediaProgress float64
	// MediaError is the English sentence of why there are no variants, MediaReason the slug of it.
	MediaError  string
	MediaReason string

	// Damage says what the reconciliation found wrong with the bytes, since DamagedAt; VerifiedAt is when they were last
	// read and had the right digest.
	Damage     storage.Damage
	DamagedAt  Stamp
	VerifiedAt Stamp

	// What the media job has found out (storage.MediaFacts).
	DominantColor string
	ThumbHash     string
	DurationMS    int64   `gorm:"column:duration_ms"`
	FPS           float64 `gorm:"column:fps"`
	VideoCodec    string
	AudioCodec    string

	Revision  int64
	CreatedAt Stamp `gorm:"autoCreateTime:false"`
	UpdatedAt Stamp `gorm:"autoUpdateTime:false"`
}

// Asset is one uploaded file as its tenant knows it.
type Asset struct {
	ID       string `gorm:"primaryKey"`
	TenantID string
	SHA256   string `gorm:"column:sha256"`
	Name     string
	// NameFolded is Name in lower case, for the search.
	NameFolded string
	Ext        string
	Category   storage.Category
	MediaType  string
	Size       int64
	State      storage.AssetState
	Duplicate  bool
	Revision   int64
	CreatedAt  Stamp `gorm:"autoCreateTime:false"`
	UpdatedAt  Stamp `gorm:"autoUpdateTime:false"`
	DeletedAt  Stamp
}

// Variant is a blob derived from another: one WebP size of a picture, for example.
type Variant struct {
	TenantID  string `gorm:"primaryKey"`
	SHA256    string `gorm:"primaryKey;column:sha256"`
	Preset    string `gorm:"primaryKey"`
	Ext       string
	MediaType string
	Width     int64
	Height    int64
	Size      int64
	// Digest is the SHA-256 of the variant's own bytes.
	Digest string
	// KeyTag is the part of the object's key that is of these bytes; empty for variants older than tags.
	KeyTag    string
	CreatedAt Stamp `gorm:"autoCreateTime:false"`
}

// Key is where the variant's object lies in the clean zone.
func (v Variant) Key() string {
	return storage.VariantKey(v.TenantID, v.SHA256, v.Preset, v.KeyTag, v.Ext)
}

// Task says what is still to be done for a blob or for the system; it is also the outbox row.
type Task struct {
	ID       string `gorm:"primaryKey"`
	Kind     storage.TaskKind
	Lane     storage.Lane
	TenantID string
	// Subject is what the task is about: a blob's SHA-256, or empty for a task of the system.
	Subject string
	// DedupeKey holds back a second open task for the same thing; it is cleared when the task ends.
	DedupeKey *string
	State     storage.TaskState
	Attempts  int
	// RunAt is the earliest time of the next attempt.
	RunAt Stamp
	// RungAt and RungBy record that the doorbell was rung for this attempt, and by which relay.
	RungAt Stamp
	RungBy string
	// LeaseOwner holds the task until LeaseUntil; heartbeats move it on.
	LeaseOwner string
	LeaseUntil Stamp
	LastError  string
	Progress   float64
	CreatedAt  Stamp `gorm:"autoCreateTime:false"`
	UpdatedAt  Stamp `gorm:"autoUpdateTime:false"`
	FinishedAt Stamp
}

// Event is something that happened to an asset.
type Event struct {
	ID       int64 `gorm:"primaryKey;autoIncrement"`
	TenantID string
	AssetID  string
	Kind     storage.EventKind
	// Data is a small JSON object with the facts of the event.
	Data string
	At   Stamp
}

// AuditRecord is one line of the append-only audit log; package audit writes it, triggers keep it.
type AuditRecord struct {
	ID        int64 `gorm:"primaryKey;autoIncrement"`
	At        Stamp
	ActorKind string
	ActorID   string
	ActorRole string
	TenantID  string
	Action    string
	Target    string
	Result    string
	Code      string
	RequestID string
	Address   string
	UserAgent string
	Data      string
}

// TableName names the table.
func (AuditRecord) TableName() string { return "audit_log" }

// IdempotencyKey remembers which asset an Idempotency-Key made.
type IdempotencyKey struct {
	TenantID  string `gorm:"primaryKey"`
	Key       string `gorm:"primaryKey;column:idem_key"`
	AssetID   string
	SHA256    string `gorm:"column:sha256"`
	CreatedAt Stamp  `gorm:"autoCreateTime:false"`
}

// Fact is a single value that programs tell each other through the database, such as the scanner's state.
type Fact struct {
	Name      string `gorm:"primaryKey"`
	Value     string
	UpdatedAt Stamp `gorm:"autoUpdateTime:false"`
}
