package meta

// settingsUp adds what operators change at run time, the addresses that operators have come from, and what the questions of
// the alert rules and the lists of alerts need.
func settingsUp(d Dialect) []string {
	people := `CREATE INDEX audit_log_people ON audit_log (actor_kind, at)`
	if d != MySQL {
		// Uploads, which are most of the log, pay nothing for it. Queries name the kinds as they stand here (peopleKinds).
		people += ` WHERE actor_kind IN ` + peopleKinds
	}
	return []string{
		`CREATE TABLE settings (
			name varchar(64) PRIMARY KEY,
			value {text} NOT NULL,
			updated_at bigint NOT NULL,
			updated_by varchar(190) NOT NULL
		){table}`,
		`CREATE TABLE operator_addresses (
			actor varchar(190) NOT NULL,
			address varchar(64) NOT NULL,
			first_at bigint NOT NULL,
			PRIMARY KEY (actor, address)
		){table}`,
		`CREATE INDEX operator_addresses_first ON operator_addresses (first_at)`,
		people,
		`CREATE INDEX alerts_severity ON alerts (severity, id)`,
		`CREATE INDEX alerts_rule ON alerts (rule, id)`,
		`CREATE INDEX alerts_tenant ON alerts (tenant_id, id)`,
		`CREATE INDEX reconcile_runs_kind ON reconcile_runs (kind, id)`,
	}
}

func settingsDown(d Dialect) []string {
	drop := func(index, table string) string {
		if d == MySQL {
			return "DROP INDEX " + index + " ON " + table
		}
		return "DROP INDEX " + index
	}
	return []string{
		drop("reconcile_runs_kind", "reconcile_runs"), drop("alerts_tenant", "alerts"), drop("alerts_rule", "alerts"),
		drop("alerts_severity", "alerts"), drop("audit_log_people", "audit_log"), "DROP TABLE operator_addresses", "DROP TABLE settings",
	}
}

// peopleKinds are the kinds of actor that people are, or programs of theirs: literal, so that PostgreSQL and SQLite see that the
// partial index holds the answer.
const peopleKinds = `('stranger', 'operator', 'operator_token', 'cli')`
