package meta

// AuditSeal binds a record of the audit log to its place in the chain; package audit says how.
type AuditSeal struct {
	Seq      int64 `gorm:"primaryKey;autoIncrement:false"`
	RecordID int64
	Hash     string
	MAC      string `gorm:"column:mac"`
	SealedAt Stamp
}

// AuditCheckpoint is a signed statement about the chain as it was at Seq.
type AuditCheckpoint struct {
	Seq       int64 `gorm:"primaryKey;autoIncrement:false"`
	ChainID   string
	Hash      string
	Watermark int64
	At        Stamp
	Signature string
}

// AuditArchive is a part of the chain that lies in the store and need not be in the database.
type AuditArchive struct {
	FirstSeq int64 `gorm:"primaryKey;autoIncrement:false"`
	LastSeq  int64
	Object   string
	Bytes    int64
	SHA256   string `gorm:"column:sha256"`
	// Hash is that of the seal LastSeq.
	Hash string
	At   Stamp
}

// AuditChain is where a chain begins: the first, or one that goes on after a restore.
type AuditChain struct {
	ChainID  string `gorm:"primaryKey"`
	FirstSeq int64
	PrevHash string
	BeganAt  Stamp
	Reason   string
	// GivesUp lists, with commas, chains that this one does not contain.
	GivesUp   string
	Signature string
}

// AuditState is the head of the chain. Every record up to Watermark that will ever be sealed is.
type AuditState struct {
	ID        int64 `gorm:"primaryKey;autoIncrement:false"`
	ChainID   string
	Seq       int64
	Hash      string
	Watermark int64
}

// TableName names the table.
func (AuditState) TableName() string { return "audit_state" }

// AuditLink is a seal with its record; Record.ID is 0 when that is gone.
type AuditLink struct {
	Seal   AuditSeal
	Record AuditRecord
}
