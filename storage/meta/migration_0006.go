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
		`CREATE INDEX alerts_subject ON alerts (rule, subject)`,

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
		`CREATE INDEX notices_alert ON notices (alert_id, channel)`,

		// Refusals are the smaller part of the log; the rule about them asks for those of the last minutes.
		`CREATE INDEX audit_log_result ON audit_log (result, at)`,
	}
}

func alertsDown(d Dialect) []string {
	on := ""
	if d == MySQL {
		on = " ON audit_log"
	}
	return []string{"DROP INDEX audit_log_result" + on, "DROP TABLE notices", "DROP TABLE alerts"}
}
