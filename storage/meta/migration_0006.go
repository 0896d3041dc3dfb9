package meta

// alertsUp adds alerts, and what is still to be sent about them.
func alertsUp(Dialect) []string {
	return []string{
		`CREATE TABLE alerts (
			id {id} PRIMARY KEY,
			rule varchar(64) NOT NULL,
			subject varchar(190) NOT NULL,
			open_key varchar(255),
			tenant_id varchar(36) NOT NULL DEFAULT '',
			severity varchar(16) NOT NULL,
			message varchar(1000) NOT NULL,
			data {text} NOT NULL,
			opened_at bigint NOT NULL,
			seen_at bigint NOT NULL,
			sent_at bigint NOT NULL DEFAULT 0,
			acknowledged_at bigint NOT NULL DEFAULT 0,
			acknowledged_by varchar(190) NOT NULL DEFAULT '',
			closed_at bigint NOT NULL DEFAULT 0
		){table}`,
		`CREATE UNIQUE INDEX alerts_open ON alerts (open_key)`,
		`CREATE INDEX alerts_closed ON alerts (closed_at)`,

		`CREATE TABLE notices (
			id {id} PRIMARY KEY,
			alert_id {id} NOT NULL,
			channel varchar(64) NOT NULL,
			event varchar(16) NOT NULL,
			body {text} NOT NULL,
			attempts integer NOT NULL DEFAULT 0,
			next_at bigint NOT NULL,
			created_at bigint NOT NULL,
			ended_at bigint NOT NULL DEFAULT 0,
			problem varchar(1000) NOT NULL DEFAULT ''
		){table}`,
		`CREATE INDEX notices_due ON notices (ended_at, channel, next_at)`,
	}
}

func alertsDown(Dialect) []string { return []string{"DROP TABLE notices", "DROP TABLE alerts"} }
