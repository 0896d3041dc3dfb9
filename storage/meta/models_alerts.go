package meta

// Alert is something that somebody has to know, from its opening to its end.
type Alert struct {
	ID   string `gorm:"primaryKey"`
	Rule string
	// Subject is what the alert is about within its rule: a tenant, a host and mount, a run.
	Subject string
	// OpenKey holds back a second open alert of the same rule and subject; it is cleared when the alert ends.
	OpenKey  *string
	TenantID string
	Severity string
	Message  string
	// Data is a small JSON object with the facts.
	Data     string
	OpenedAt Stamp
	// SeenAt is when its rule was last asked and still said so; SentAt when people were last told.
	SeenAt         Stamp
	SentAt         Stamp
	AcknowledgedAt Stamp
	AcknowledgedBy string
	ClosedAt       Stamp
}

// Notice is a message about an alert that one channel still has to send, or has sent.
type Notice struct {
	ID       string `gorm:"primaryKey"`
	AlertID  string
	Channel  string
	Event    string
	Body     string
	Attempts int
	NextAt   Stamp
	// EndedAt is when it was sent, or given up with Problem.
	CreatedAt Stamp `gorm:"autoCreateTime:false"`
	EndedAt   Stamp
	Problem   string
}
