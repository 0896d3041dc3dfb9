package meta

// operatorsUp adds the people who run the platform, how each proves who they are, and where they may come from.
func operatorsUp(Dialect) []string {
	return []string{
		`CREATE TABLE operators (
			id {id} PRIMARY KEY,
			name varchar(64) NOT NULL,
			role varchar(16) NOT NULL,
			state varchar(16) NOT NULL,
			password_hash varchar(255) NOT NULL DEFAULT '',
			password_at bigint NOT NULL DEFAULT 0,
			totp_secret varchar(255) NOT NULL DEFAULT '',
			totp_step bigint NOT NULL DEFAULT 0,
			enrolled_at bigint NOT NULL DEFAULT 0,
			login_at bigint NOT NULL DEFAULT 0,
			created_at bigint NOT NULL,
			updated_at bigint NOT NULL
		){table}`,
		`CREATE UNIQUE INDEX operators_name ON operators (name)`,

		`CREATE TABLE operator_passwords (
			id {id} PRIMARY KEY,
			operator_id {id} NOT NULL,
			hash varchar(255) NOT NULL,
			created_at bigint NOT NULL
		){table}`,
		`CREATE INDEX operator_passwords_operator ON operator_passwords (operator_id, id)`,

		`CREATE TABLE operator_recovery_codes (
			id {id} PRIMARY KEY,
			operator_id {id} NOT NULL,
			hash {hash} NOT NULL,
			used_at bigint NOT NULL DEFAULT 0
		){table}`,
		`CREATE INDEX operator_recovery_codes_operator ON operator_recovery_codes (operator_id, hash)`,

		`CREATE TABLE operator_links (
			id {id} PRIMARY KEY,
			operator_id {id} NOT NULL,
			hash {hash} NOT NULL,
			created_at bigint NOT NULL,
			expires_at bigint NOT NULL,
			used_at bigint NOT NULL DEFAULT 0
		){table}`,
		`CREATE UNIQUE INDEX operator_links_hash ON operator_links (hash)`,
		`CREATE INDEX operator_links_operator ON operator_links (operator_id)`,

		`CREATE TABLE operator_sessions (
			id {id} PRIMARY KEY,
			operator_id {id} NOT NULL,
			hash {hash} NOT NULL,
			stage varchar(16) NOT NULL,
			pending_secret varchar(255) NOT NULL DEFAULT '',
			address varchar(64) NOT NULL DEFAULT '',
			user_agent varchar(255) NOT NULL DEFAULT '',
			created_at bigint NOT NULL,
			seen_at bigint NOT NULL,
			stepped_up_at bigint NOT NULL DEFAULT 0,
			ended_at bigint NOT NULL DEFAULT 0
		){table}`,
		`CREATE UNIQUE INDEX operator_sessions_hash ON operator_sessions (hash)`,
		`CREATE INDEX operator_sessions_operator ON operator_sessions (operator_id, ended_at)`,
		`CREATE INDEX operator_sessions_created ON operator_sessions (created_at)`,

		`CREATE TABLE operator_tokens (
			id {id} PRIMARY KEY,
			operator_id {id} NOT NULL,
			name varchar(64) NOT NULL,
			role varchar(16) NOT NULL,
			hash {hash} NOT NULL,
			cidrs varchar(2000) NOT NULL DEFAULT '',
			created_at bigint NOT NULL,
			expires_at bigint NOT NULL,
			used_at bigint NOT NULL DEFAULT 0,
			revoked_at bigint NOT NULL DEFAULT 0
		){table}`,
		`CREATE UNIQUE INDEX operator_tokens_hash ON operator_tokens (hash)`,

		`CREATE TABLE operator_attempts (
			subject varchar(80) PRIMARY KEY,
			failures integer NOT NULL,
			since bigint NOT NULL,
			locked_until bigint NOT NULL DEFAULT 0,
			told_at bigint NOT NULL DEFAULT 0
		){table}`,
		`CREATE INDEX operator_attempts_since ON operator_attempts (since)`,

		`CREATE TABLE operator_networks (
			id {id} PRIMARY KEY,
			cidr varchar(64) NOT NULL,
			note varchar(190) NOT NULL DEFAULT '',
			created_at bigint NOT NULL
		){table}`,
		`CREATE UNIQUE INDEX operator_networks_cidr ON operator_networks (cidr)`,
	}
}

func operatorsDown(Dialect) []string {
	return []string{
		"DROP TABLE operator_networks", "DROP TABLE operator_attempts", "DROP TABLE operator_tokens", "DROP TABLE operator_sessions",
		"DROP TABLE operator_links", "DROP TABLE operator_recovery_codes", "DROP TABLE operator_passwords", "DROP TABLE operators",
	}
}
