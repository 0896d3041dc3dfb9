package meta

// Operator is a person who runs the platform. Names are in lower case.
type Operator struct {
	ID    string `gorm:"primaryKey"`
	Name  string
	Role  string
	State string
	// PasswordHash is empty until its owner has chosen a password; PasswordAt is when that was.
	PasswordHash string
	PasswordAt   Stamp
	// TOTPSecret is sealed. It is empty before the second factor is set up and after a recovery code was used.
	TOTPSecret string `gorm:"column:totp_secret"`
	// TOTPStep is the newest step of time whose code was used: none up to it works again.
	TOTPStep int64 `gorm:"column:totp_step"`
	// EnrolledAt is when the second factor was set up; it stays when a recovery code takes the secret away, so that a password
	// alone never leads to a new second factor.
	EnrolledAt Stamp
	LoginAt    Stamp
	CreatedAt  Stamp `gorm:"autoCreateTime:false"`
	UpdatedAt  Stamp `gorm:"autoUpdateTime:false"`
}

// The states of an operator.
const (
	OperatorActive   = "active"
	OperatorInactive = "inactive"
)

// OperatorPassword is a password that an operator has or had, so that it is not chosen again.
type OperatorPassword struct {
	ID         string `gorm:"primaryKey"`
	OperatorID string
	Hash       string
	CreatedAt  Stamp `gorm:"autoCreateTime:false"`
}

// RecoveryCode stands in for the second factor, once.
type RecoveryCode struct {
	ID         string `gorm:"primaryKey"`
	OperatorID string
	Hash       string
	UsedAt     Stamp
}

// TableName names the table.
func (RecoveryCode) TableName() string { return "operator_recovery_codes" }

// OperatorLink lets an operator choose a password, once.
type OperatorLink struct {
	ID         string `gorm:"primaryKey"`
	OperatorID string
	Hash       string
	CreatedAt  Stamp `gorm:"autoCreateTime:false"`
	ExpiresAt  Stamp
	// UsedAt is also set on links that a newer one has replaced.
	UsedAt Stamp
}

// OperatorSession is a browser's. Its secret is not stored, only the SHA-256 of it, which changes whenever the session can do more.
type OperatorSession struct {
	ID         string `gorm:"primaryKey"`
	OperatorID string
	Hash       string
	Stage      string
	// PendingSecret is the sealed secret of a second factor that is being set up.
	PendingSecret string
	Address       string
	UserAgent     string
	CreatedAt     Stamp `gorm:"autoCreateTime:false"`
	SeenAt        Stamp
	SteppedUpAt   Stamp
	EndedAt       Stamp
}

// OperatorToken is the key of a program that acts for an operator.
type OperatorToken struct {
	ID         string `gorm:"primaryKey"`
	OperatorID string
	Name       string
	Role       string
	Hash       string
	// CIDRs are separated by commas; none means any address.
	CIDRs     string `gorm:"column:cidrs"`
	CreatedAt Stamp  `gorm:"autoCreateTime:false"`
	ExpiresAt Stamp
	UsedAt    Stamp
	RevokedAt Stamp
}

// OperatorAttempt counts failures to prove something: of one account, or from one address.
type OperatorAttempt struct {
	Subject     string `gorm:"primaryKey"`
	Failures    int
	Since       Stamp
	LockedUntil Stamp
	// ToldAt is when the audit log was last told of an attempt that met the lock.
	ToldAt Stamp
}

// OperatorNetwork is a range of addresses that operators may come from.
type OperatorNetwork struct {
	ID        string `gorm:"primaryKey"`
	CIDR      string `gorm:"column:cidr"`
	Note      string
	CreatedAt Stamp `gorm:"autoCreateTime:false"`
}
