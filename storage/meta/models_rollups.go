package meta

// StatHour is how often something happened in an hour, or how much it was.
type StatHour struct {
	// Hour is counted from the Unix epoch.
	Hour int64 `gorm:"primaryKey;autoIncrement:false"`
	// Metric is one of the Stat constants.
	Metric string `gorm:"primaryKey"`
	// Label tells the values of a metric apart: the code of a refusal, the status of a verdict.
	Label string `gorm:"primaryKey"`
	N     int64
}

// The metrics of StatHour.
const (
	// StatUploads and StatBytes are uploads that were taken and what they had; the label is "new", or "duplicate" where the
	// bytes were there already.
	StatUploads = "uploads"
	StatBytes   = "upload_bytes"
	// StatRefusals are refused uploads by their code, StatVerdicts scans by what they found.
	StatRefusals = "refusals"
	StatVerdicts = "verdicts"
	// StatDeletes are deleted files, by the kind of who deleted them.
	StatDeletes = "deletes"
)

// TenantDay is what a tenant did on a day, by UTC.
type TenantDay struct {
	TenantID string `gorm:"primaryKey"`
	// Day is counted from the Unix epoch.
	Day     int64 `gorm:"primaryKey;autoIncrement:false"`
	Uploads int64
	Bytes   int64
	// Refusals are refused uploads, Rejected files in which the scan found something.
	Refusals int64
	Rejected int64
}

// TenantActivity is when a tenant uploaded last.
type TenantActivity struct {
	TenantID     string `gorm:"primaryKey"`
	LastUploadAt Stamp
}

// TableName names the table.
func (TenantActivity) TableName() string { return "tenant_activity" }
