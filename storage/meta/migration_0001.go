package meta

func initialUp(Dialect) []string {
	return []string{
		`CREATE TABLE plans (
			name varchar(64) PRIMARY KEY,
			storage_bytes bigint NOT NULL,
			spec {text} NOT NULL,
			updated_at bigint NOT NULL
		){table}`,

		`CREATE TABLE tenants (
			id {id} PRIMARY KEY,
			name varchar(190) NOT NULL,
			plan varchar(64) NOT NULL,
			state varchar(32) NOT NULL,
			quota_override bigint,
			used_bytes bigint NOT NULL DEFAULT 0 CHECK (used_bytes >= 0),
			reserved_bytes bigint NOT NULL DEFAULT 0 CHECK (reserved_bytes >= 0),
			created_at bigint NOT NULL,
			updated_at bigint NOT NULL
		){table}`,
		`CREATE UNIQUE INDEX tenants_name ON tenants (name)`,

		`CREATE TABLE api_keys (
			id {id} PRIMARY KEY,
			tenant_id {id} NOT NULL,
			name varchar(190) NOT NULL,
			hash {hash} NOT NULL,
			scopes varchar(190) NOT NULL,
			created_at bigint NOT NULL,
			expires_at bigint NOT NULL DEFAULT 0,
			revoked_at bigint NOT NULL DEFAULT 0
		){table}`,
		`CREATE UNIQUE INDEX api_keys_hash ON api_keys (hash)`,
		`CREATE INDEX api_keys_tenant ON api_keys (tenant_id, id)`,

		`CREATE TABLE reservations (
			id {id} PRIMARY KEY,
			tenant_id {id} NOT NULL,
			bytes bigint NOT NULL,
			expires_at bigint NOT NULL,
			created_at bigint NOT NULL
		){table}`,
		`CREATE INDEX reservations_expiry ON reservations (expires_at)`,

		`CREATE TABLE blobs (
			tenant_id {id} NOT NULL,
			sha256 {hash} NOT NULL,
			size bigint NOT NULL,
			media_type varchar(190) NOT NULL,
			category varchar(32) NOT NULL,
			zone varchar(16) NOT NULL,
			width bigint NOT NULL DEFAULT 0,
			height bigint NOT NULL DEFAULT 0,
			frames bigint NOT NULL DEFAULT 0,
			refs bigint NOT NULL CHECK (refs >= 0),
			unreferenced_at bigint NOT NULL DEFAULT 0,
			sweeping {bool} NOT NULL,
			scan_status varchar(16) NOT NULL,
			scan_signature varchar(500) NOT NULL DEFAULT '',
			scan_engine varchar(190) NOT NULL DEFAULT '',
			scan_database varchar(190) NOT NULL DEFAULT '',
			scan_bytes bigint NOT NULL DEFAULT 0,
			scan_digest {hash} NOT NULL DEFAULT '',
			scanned_at bigint NOT NULL DEFAULT 0,
			media_status varchar(16) NOT NULL,
			media_progress {real} NOT NULL DEFAULT 0,
			media_error varchar(500) NOT NULL DEFAULT '',
			revision bigint NOT NULL DEFAULT 0,
			created_at bigint NOT NULL,
			updated_at bigint NOT NULL,
			PRIMARY KEY (tenant_id, sha256)
		){table}`,
		// The sweeper's questions: unreferenced, claimed, stranded, expired. Few blobs are in the states it asks for.
		`CREATE INDEX blobs_unreferenced ON blobs (refs, sweeping, unreferenced_at)`,
		`CREATE INDEX blobs_scan ON blobs (scan_status, scanned_at)`,
		`CREATE INDEX blobs_media ON blobs (media_status)`,

		`CREATE TABLE assets (
			id {id} PRIMARY KEY,
			tenant_id {id} NOT NULL,
			sha256 {hash} NOT NULL,
			name varchar(255) NOT NULL,
			name_folded varchar(500) NOT NULL,
			ext varchar(32) NOT NULL,
			category varchar(32) NOT NULL,
			media_type varchar(190) NOT NULL,
			size bigint NOT NULL,
			state varchar(16) NOT NULL,
			duplicate {bool} NOT NULL,
			revision bigint NOT NULL DEFAULT 0,
			created_at bigint NOT NULL,
			updated_at bigint NOT NULL,
			deleted_at bigint NOT NULL DEFAULT 0
		){table}`,
		`CREATE INDEX assets_tenant ON assets (tenant_id, id)`,
		`CREATE INDEX assets_blob ON assets (tenant_id, sha256)`,
		`CREATE INDEX assets_state ON assets (tenant_id, state, id)`,
		`CREATE INDEX assets_category ON assets (tenant_id, category, id)`,

		`CREATE TABLE variants (
			tenant_id {id} NOT NULL,
			sha256 {hash} NOT NULL,
			preset varchar(64) NOT NULL,
			ext varchar(16) NOT NULL,
			media_type varchar(190) NOT NULL,
			width bigint NOT NULL,
			height bigint NOT NULL,
			size bigint NOT NULL,
			digest {hash} NOT NULL,
			created_at bigint NOT NULL,
			PRIMARY KEY (tenant_id, sha256, preset)
		){table}`,

		`CREATE TABLE tasks (
			id {id} PRIMARY KEY,
			kind varchar(32) NOT NULL,
			lane varchar(32) NOT NULL,
			tenant_id {id} NOT NULL,
			subject varchar(190) NOT NULL,
			dedupe_key varchar(190),
			state varchar(16) NOT NULL,
			attempts integer NOT NULL DEFAULT 0,
			run_at bigint NOT NULL,
			rung_at bigint NOT NULL DEFAULT 0,
			rung_by varchar(64) NOT NULL DEFAULT '',
			lease_owner varchar(64) NOT NULL DEFAULT '',
			lease_until bigint NOT NULL DEFAULT 0,
			last_error {text},
			progress {real} NOT NULL DEFAULT 0,
			created_at bigint NOT NULL,
			updated_at bigint NOT NULL,
			finished_at bigint NOT NULL DEFAULT 0
		){table}`,
		`CREATE UNIQUE INDEX tasks_dedupe ON tasks (dedupe_key)`,
		`CREATE INDEX tasks_ready ON tasks (state, rung_at, run_at)`,
		`CREATE INDEX tasks_subject ON tasks (tenant_id, subject)`,
		`CREATE INDEX tasks_finished ON tasks (finished_at)`,

		`CREATE TABLE events (
			id {serial},
			tenant_id {id} NOT NULL,
			asset_id {id} NOT NULL,
			kind varchar(32) NOT NULL,
			data {text} NOT NULL,
			at bigint NOT NULL
		){table}`,
		`CREATE INDEX events_asset ON events (tenant_id, asset_id, id)`,
		`CREATE INDEX events_at ON events (at)`,

		`CREATE TABLE audit_log (
			id {serial},
			at bigint NOT NULL,
			actor_kind varchar(32) NOT NULL,
			actor_id varchar(190) NOT NULL,
			tenant_id varchar(36) NOT NULL,
			action varchar(64) NOT NULL,
			target varchar(190) NOT NULL,
			result varchar(16) NOT NULL,
			code varchar(64) NOT NULL,
			request_id varchar(64) NOT NULL,
			address varchar(64) NOT NULL,
			user_agent varchar(255) NOT NULL,
			data {text} NOT NULL
		){table}`,
		`CREATE INDEX audit_log_tenant ON audit_log (tenant_id, id)`,
		`CREATE INDEX audit_log_at ON audit_log (at)`,

		`CREATE TABLE idempotency_keys (
			tenant_id {id} NOT NULL,
			idem_key varchar(255) NOT NULL,
			asset_id {id} NOT NULL,
			sha256 {hash} NOT NULL,
			created_at bigint NOT NULL,
			PRIMARY KEY (tenant_id, idem_key)
		){table}`,
		`CREATE INDEX idempotency_keys_created ON idempotency_keys (created_at)`,

		`CREATE TABLE facts (
			name varchar(64) PRIMARY KEY,
			value {text} NOT NULL,
			updated_at bigint NOT NULL
		){table}`,
	}
}

func initialDown(Dialect) []string {
	var out []string
	for _, t := range []string{
		"facts", "idempotency_keys", "audit_log", "events", "tasks", "variants", "assets", "blobs",
		"reservations", "api_keys", "tenants", "plans",
	} {
		out = append(out, "DROP TABLE "+t)
	}
	return out
}
