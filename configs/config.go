package configs

import (
	"net/netip"
	"time"
)

// Config is the whole configuration of both programs. What each key means, its unit and the reason for its
// default stand in gatehouse.yaml, once; the fields are in the same order.
type Config struct {
	DataDir    string              `yaml:"data_dir"`
	Log        Log                 `yaml:"log"`
	HTTP       HTTP                `yaml:"http"`
	Database   Database            `yaml:"database"`
	Store      Store               `yaml:"store"`
	Broker     Broker              `yaml:"broker"`
	Scanner    Scanner             `yaml:"scanner"`
	Intake     Intake              `yaml:"intake"`
	Categories map[string]Category `yaml:"categories"`
	Plans      map[string]Plan     `yaml:"plans"`
	Quota      Quota               `yaml:"quota"`
	Tenants    Tenants             `yaml:"tenants"`
	Releases   Releases            `yaml:"releases"`
	Images     Images              `yaml:"images"`
	Videos     Videos              `yaml:"videos"`
	Sandbox    Sandbox             `yaml:"sandbox"`
	Tasks      Tasks               `yaml:"tasks"`
	Retention  Retention           `yaml:"retention"`
	Snapshots  Snapshots           `yaml:"snapshots"`
	Reconcile  Reconcile           `yaml:"reconcile"`
	Alerts     Alerts              `yaml:"alerts"`
	Audit      Audit               `yaml:"audit"`
	Auth       Auth                `yaml:"auth"`
	Metrics    Metrics             `yaml:"metrics"`
	Worker     Worker              `yaml:"worker"`

	// origins says where a key got its value, for messages and Print; a key that is absent has its default.
	origins map[string]string
}

// Log is how both programs log.
type Log struct {
	Level  string `yaml:"level"`
	Format string `yaml:"format"`
}

// HTTP is the gateway's server.
type HTTP struct {
	Addr                    string         `yaml:"addr"`
	PublicURL               string         `yaml:"public_url"`
	AdminHost               string         `yaml:"admin_host"`
	TrustedProxies          []netip.Prefix `yaml:"trusted_proxies"`
	HeaderTimeout           time.Duration  `yaml:"header_timeout"`
	IdleTimeout             time.Duration  `yaml:"idle_timeout"`
	RequestTimeout          time.Duration  `yaml:"request_timeout"`
	MinUploadBytesPerSecond Bytes          `yaml:"min_upload_bytes_per_second"`
	UploadGrace             time.Duration  `yaml:"upload_grace"`
	MaxUploads              int            `yaml:"max_uploads"`
	MaxEventStreams         int            `yaml:"max_event_streams"`
	LingerTimeout           time.Duration  `yaml:"linger_timeout"`
	LingerBytes             Bytes          `yaml:"linger_bytes"`
	ShutdownTimeout         time.Duration  `yaml:"shutdown_timeout"`
}

// Database is where rows lie. Use Config.DatabaseURL, which fills in the default.
type Database struct {
	URL             Secret        `yaml:"url"`
	MaxOpenConns    int           `yaml:"max_open_conns"`
	MaxIdleConns    int           `yaml:"max_idle_conns"`
	ConnMaxLifetime time.Duration `yaml:"conn_max_lifetime"`
	BusyTimeout     time.Duration `yaml:"busy_timeout"`
}

// Store is where blobs lie. Use Config.StoreRoot, which fills in the default.
type Store struct {
	Driver string `yaml:"driver"`
	Root   string `yaml:"root"`
	S3     S3     `yaml:"s3"`
}

// S3 is read when the store's driver is DriverS3.
type S3 struct {
	Endpoint         string        `yaml:"endpoint"`
	Region           string        `yaml:"region"`
	AccessKey        Secret        `yaml:"access_key"`
	SecretKey        Secret        `yaml:"secret_key"`
	UseTLS           bool          `yaml:"use_tls"`
	PathStyle        bool          `yaml:"path_style"`
	QuarantineBucket string        `yaml:"quarantine_bucket"`
	CleanBucket      string        `yaml:"clean_bucket"`
	SnapshotBucket   string        `yaml:"snapshot_bucket"`
	AuditBucket      string        `yaml:"audit_bucket"`
	Timeout          time.Duration `yaml:"timeout"`
	Retries          int           `yaml:"retries"`
}

// Broker is the doorbell. An empty URL means that there is none.
type Broker struct {
	URL            Secret        `yaml:"url"`
	PublishTimeout time.Duration `yaml:"publish_timeout"`
	Prefix         string        `yaml:"prefix"`
}

// Scanner is how the worker reaches clamd. An empty address means that it starts its own.
type Scanner struct {
	Address       string        `yaml:"address"`
	Timeout       time.Duration `yaml:"timeout"`
	MaxFileBytes  Bytes         `yaml:"max_file_bytes"`
	DatabaseDir   string        `yaml:"database_dir"`
	ReadyInterval time.Duration `yaml:"ready_interval"`
}

// Intake bounds what an upload may cost while it arrives. Use Config.SpoolDir, which fills in the default.
type Intake struct {
	SpoolDir                string `yaml:"spool_dir"`
	SpoolMinFree            Bytes  `yaml:"spool_min_free"`
	MemoryBytes             Bytes  `yaml:"memory_bytes"`
	MaxNameBytes            int    `yaml:"max_name_bytes"`
	MaxPixels               int64  `yaml:"max_pixels"`
	MaxDimension            int64  `yaml:"max_dimension"`
	MaxFrames               int64  `yaml:"max_frames"`
	MaxZipMembers           int    `yaml:"max_zip_members"`
	MaxZipUnpackedBytes     Bytes  `yaml:"max_zip_unpacked_bytes"`
	MaxReleaseUnpackedBytes Bytes  `yaml:"max_release_unpacked_bytes"`
	MaxZipRatio             int64  `yaml:"max_zip_ratio"`
	MaxPDFInflateBytes      Bytes  `yaml:"max_pdf_inflate_bytes"`
}

// Category is what files of one category must look like.
type Category struct {
	// Extensions in lower case without the dot.
	Extensions []string `yaml:"extensions"`
	MaxBytes   Bytes    `yaml:"max_bytes"`
}

// Plan seeds a row of the plans table; after that the row is the truth.
type Plan struct {
	StorageBytes     Bytes       `yaml:"storage_bytes"`
	Categories       []string    `yaml:"categories"`
	MaxBytes         PerCategory `yaml:"max_bytes"`
	Duplicates       string      `yaml:"duplicates"`
	PDFActiveContent bool        `yaml:"pdf_active_content"`
	UpgradeURL       string      `yaml:"upgrade_url"`
	Serve            string      `yaml:"serve"`
	ImagePresets     []string    `yaml:"image_presets"`
	Transcoding      bool        `yaml:"transcoding"`
	VideoPresets     []string    `yaml:"video_presets"`
	// Of the numbers below 0 is no limit.
	MaxVideoHeight    int64 `yaml:"max_video_height"`
	MaxFiles          int64 `yaml:"max_files"`
	UploadsPerMinute  int64 `yaml:"uploads_per_minute"`
	ConcurrentUploads int64 `yaml:"concurrent_uploads"`
	RetentionDays     int64 `yaml:"retention_days"`
}

// PerCategory maps the name of a category to a size.
type PerCategory map[string]Bytes

// Quota is the ledger's.
type Quota struct {
	ReservationTTL time.Duration `yaml:"reservation_ttl"`
}

// Tenants is about how they come and go.
type Tenants struct {
	CoolingOff time.Duration `yaml:"cooling_off"`
}

// Releases is what devices may cost.
type Releases struct {
	MaxDevicesPerTenant int64 `yaml:"max_devices_per_tenant"`
}

// Images is how pictures become variants.
type Images struct {
	Presets     []ImagePreset `yaml:"presets"`
	Quality     int           `yaml:"quality"`
	Effort      int           `yaml:"effort"`
	MaxPixels   int64         `yaml:"max_pixels"`
	MemoryBytes Bytes         `yaml:"memory_bytes"`
	Timeout     time.Duration `yaml:"timeout"`
}

// ImagePreset is one variant of a picture: its name, its longer side in pixels, and its format. A quality or effort of
// 0 takes that of all presets.
type ImagePreset struct {
	Name     string `yaml:"name"`
	LongEdge int    `yaml:"long_edge"`
	Format   string `yaml:"format"`
	Quality  int    `yaml:"quality"`
	Effort   int    `yaml:"effort"`
}

// Videos is how videos become variants.
type Videos struct {
	Presets          []VideoPreset `yaml:"presets"`
	PosterLongEdge   int           `yaml:"poster_long_edge"`
	MaxDuration      time.Duration `yaml:"max_duration"`
	MaxPixels        int64         `yaml:"max_pixels"`
	MaxStreams       int           `yaml:"max_streams"`
	MaxBitsPerSecond int64         `yaml:"max_bits_per_second"`
	MaxOutputBytes   Bytes         `yaml:"max_output_bytes"`
	MemoryBytes      Bytes         `yaml:"memory_bytes"`
	Timeout          time.Duration `yaml:"timeout"`
	CPUTime          time.Duration `yaml:"cpu_time"`
	Threads          int           `yaml:"threads"`
}

// VideoPreset is one variant of a video: its name, its longer side in pixels, and its codec.
type VideoPreset struct {
	Name     string `yaml:"name"`
	LongEdge int    `yaml:"long_edge"`
	Codec    string `yaml:"codec"`
}

// Sandbox is what holds the children that decode foreign bytes.
type Sandbox struct {
	Required bool `yaml:"required"`
}

// Tasks is how work is claimed, retried and shared out.
type Tasks struct {
	Lease        time.Duration `yaml:"lease"`
	Heartbeat    time.Duration `yaml:"heartbeat"`
	PollInterval time.Duration `yaml:"poll_interval"`
	MaxAttempts  int           `yaml:"max_attempts"`
	BackoffMin   time.Duration `yaml:"backoff_min"`
	BackoffMax   time.Duration `yaml:"backoff_max"`
	Lanes        Lanes         `yaml:"lanes"`
}

// Lanes has one entry for each lane of the task queue.
type Lanes struct {
	Scan         Lane `yaml:"scan"`
	Image        Lane `yaml:"image"`
	Video        Lane `yaml:"video"`
	Housekeeping Lane `yaml:"housekeeping"`
}

// Lane is one queue with its own workers.
type Lane struct {
	Concurrency int `yaml:"concurrency"`
}

// Retention is how long things are kept before the sweeper takes them.
type Retention struct {
	OrphanGrace    time.Duration `yaml:"orphan_grace"`
	DeletedGrace   time.Duration `yaml:"deleted_grace"`
	Infected       time.Duration `yaml:"infected"`
	TaskHistory    time.Duration `yaml:"task_history"`
	IdempotencyTTL time.Duration `yaml:"idempotency_ttl"`
	EventHistory   time.Duration `yaml:"event_history"`
}

// Reconcile is when records and store are compared, and how far that may go.
type Reconcile struct {
	At         string        `yaml:"at"`
	LightEvery time.Duration `yaml:"light_every"`
	BrakeMin   int           `yaml:"brake_min"`
	BrakeShare Share         `yaml:"brake_share"`

	BrakeTenantMin   int   `yaml:"brake_tenant_min"`
	BrakeTenantShare Share `yaml:"brake_tenant_share"`

	Trash   time.Duration `yaml:"trash"`
	History time.Duration `yaml:"history"`

	DigestDays          int   `yaml:"digest_days"`
	DigestBytesPerNight Bytes `yaml:"digest_bytes_per_night"`
	DigestRate          Bytes `yaml:"digest_rate"`
}

// Alerts is what people are told of, when and where.
type Alerts struct {
	Interval         time.Duration `yaml:"interval"`
	Repeat           time.Duration `yaml:"repeat"`
	History          time.Duration `yaml:"history"`
	InfectedFor      time.Duration `yaml:"infected_for"`
	Refusals         int64         `yaml:"refusals"`
	RefusalsWindow   time.Duration `yaml:"refusals_window"`
	ScannerUnready   time.Duration `yaml:"scanner_unready"`
	SignaturesMaxAge time.Duration `yaml:"signatures_max_age"`
	DiskWarning      int           `yaml:"disk_warning_percent"`
	DiskCritical     int           `yaml:"disk_critical_percent"`
	DatabaseMaxBytes Bytes         `yaml:"database_max_bytes"`
	SnapshotMaxAge   time.Duration `yaml:"snapshot_max_age"`
	ReconcileMaxAge  time.Duration `yaml:"reconcile_max_age"`
	MaxWait          LaneWaits     `yaml:"max_wait"`

	OperatorsFor        time.Duration `yaml:"operators_for"`
	FailedLogins        int64         `yaml:"failed_logins"`
	FailedLoginsWindow  time.Duration `yaml:"failed_logins_window"`
	FailuresBeforeLogin int64         `yaml:"failures_before_login"`
	QueriesPerHour      int64         `yaml:"queries_per_hour"`
	NightFrom           string        `yaml:"night_from"`
	NightUntil          string        `yaml:"night_until"`
	Timezone            string        `yaml:"timezone"`

	Channels map[string]AlertChannel `yaml:"channels"`
}

// LaneWaits is how long the oldest due task of each lane may wait.
type LaneWaits struct {
	Scan         time.Duration `yaml:"scan"`
	Image        time.Duration `yaml:"image"`
	Video        time.Duration `yaml:"video"`
	Housekeeping time.Duration `yaml:"housekeeping"`
}

// AlertChannel is where alerts are told. A robot's or webhook's channel without a URL is off.
type AlertChannel struct {
	Kind       string   `yaml:"kind"`
	URL        Secret   `yaml:"url"`
	Secret     Secret   `yaml:"secret"`
	Severities []string `yaml:"severities"`
	Rules      []string `yaml:"rules"`
}

// Snapshots is which snapshots of the database are kept.
type Snapshots struct {
	KeepDaily   int `yaml:"keep_daily"`
	KeepMonthly int `yaml:"keep_monthly"`
}

// Audit is about the proof that nobody changed the audit log. Use Config.AuditSeed, which makes a key where the mode allows it.
type Audit struct {
	SigningKey Secret        `yaml:"signing_key"`
	PublicKey  string        `yaml:"public_key"`
	Online     time.Duration `yaml:"online"`
	TellEvery  time.Duration `yaml:"tell_every"`
}

// Auth is about links and operators. Use Config.LinkSecret and OperatorKey, which make secrets where the mode allows it.
type Auth struct {
	LinkSecret  Secret        `yaml:"link_secret"`
	LinkMaxAge  time.Duration `yaml:"link_max_age"`
	OperatorKey Secret        `yaml:"operator_key"`
}

// Metrics is about /metrics of the gateway.
type Metrics struct {
	Enabled bool   `yaml:"enabled"`
	Addr    string `yaml:"addr"`
}

// Worker is what the worker shows of itself.
type Worker struct {
	HTTPAddr string `yaml:"http_addr"`
}
