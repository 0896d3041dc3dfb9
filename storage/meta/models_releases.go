package meta

// ClientRelease is a version of a desktop application for one channel, platform and architecture. Package release says what
// its states mean and which moves there are.
type ClientRelease struct {
	ID       string `gorm:"primaryKey"`
	Channel  string
	Platform string
	Arch     string
	Version  string
	// VersionKey keeps the version for this release among those of its track; nil when it was given back.
	VersionKey *string
	State      string
	// PublishedKey is its track while it is published or paused: one release has it, by the database.
	PublishedKey *string
	// FallbackID is the release that devices outside the stage get: the last that was for all. Empty: there was none.
	FallbackID string
	// Percentage of the devices that get it, 0 to 100.
	Percentage int
	// FullAt is since when it was for all devices; zero: it never was, it was taken back since, or a restore cannot tell.
	FullAt Stamp
	Forced bool
	// MinVersion is the oldest version that may go on without this update; empty: any.
	MinVersion string
	// Notes are Markdown.
	Notes string
	// Manifest is what electron-updater reads, byte for byte; written when the release is published.
	Manifest  string
	Revision  int64
	CreatedBy string
	CreatedAt Stamp `gorm:"autoCreateTime:false"`
	UpdatedAt Stamp `gorm:"autoUpdateTime:false"`
	// PublishedAt is when it was first published.
	PublishedAt Stamp
}

// ReleaseArtifact is a file of a release: an asset of the platform's tenant under a name of its own.
type ReleaseArtifact struct {
	ID        string `gorm:"primaryKey"`
	ReleaseID string
	Kind      string
	Name      string
	AssetID   string
	SHA256    string `gorm:"column:sha256"`
	// SHA512 is in hex; manifests have it in Base64.
	SHA512    string `gorm:"column:sha512"`
	Size      int64
	MediaType string
	CreatedAt Stamp `gorm:"autoCreateTime:false"`
}

// ReleaseDigests are the SHA-256 of each piece of a file that was published, so that no piece is served unchecked.
type ReleaseDigests struct {
	// SHA256 is that of the whole file.
	SHA256     string `gorm:"primaryKey;column:sha256"`
	PieceBytes int64
	// Digests are those of the pieces, one behind the other, in Base64.
	Digests   string
	CreatedAt Stamp `gorm:"autoCreateTime:false"`
}

// DeviceToken lets one device of a tenant's user send heartbeats. Its secret is not stored, only the SHA-256 of it.
type DeviceToken struct {
	ID        string `gorm:"primaryKey"`
	TenantID  string
	UserID    string
	DeviceID  string
	Hash      string
	CreatedAt Stamp `gorm:"autoCreateTime:false"`
	ExpiresAt Stamp
	RevokedAt Stamp
}

// ReleaseDevice is a device as its last heartbeat told.
type ReleaseDevice struct {
	TenantID    string `gorm:"primaryKey"`
	DeviceID    string `gorm:"primaryKey"`
	UserID      string
	Version     string
	Channel     string
	Platform    string
	Arch        string
	OSVersion   string `gorm:"column:os_version"`
	Launches    int64  // accepted heartbeats: a client sends one at each start
	FirstSeenAt Stamp
	LastSeenAt  Stamp
	// RateCount heartbeats came in the minute RateMinute, counted from the Unix epoch.
	RateMinute int64
	RateCount  int64
}

// ReleaseRollup is how many devices of a tenant had a version within the 24 hours before it was counted; the last count of
// each hour stays. Rows with an empty TenantID are the totals of all tenants.
type ReleaseRollup struct {
	// Hour is counted from the Unix epoch.
	Hour     int64  `gorm:"primaryKey;autoIncrement:false"`
	TenantID string `gorm:"primaryKey"`
	Channel  string `gorm:"primaryKey"`
	Platform string `gorm:"primaryKey"`
	Arch     string `gorm:"primaryKey"`
	Version  string `gorm:"primaryKey"`
	Devices  int64
}
