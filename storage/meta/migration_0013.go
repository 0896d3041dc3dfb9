package meta

// releasesUp adds releases for desktop clients, and the devices that have them.
//
// At most one release is published for a channel, platform and architecture: published_key is unique, and null for all others.
// version_key holds a version for one release of a track; a draft that is archived gives it back.
func releasesUp(d Dialect) []string {
	devices := `CREATE TABLE release_devices (
			tenant_id {id} NOT NULL,
			device_id varchar(128) NOT NULL,
			user_id varchar(190) NOT NULL,
			version varchar(256) NOT NULL,
			channel varchar(32) NOT NULL,
			platform varchar(8) NOT NULL,
			arch varchar(8) NOT NULL,
			os_version varchar(64) NOT NULL,
			launches bigint NOT NULL,
			first_seen_at bigint NOT NULL,
			last_seen_at bigint NOT NULL,
			rate_minute bigint NOT NULL DEFAULT 0,
			rate_count bigint NOT NULL DEFAULT 0,
			PRIMARY KEY (tenant_id, device_id)
		)`
	if d == Postgres {
		// No column that a heartbeat changes is in an index: with room on the page, the new row stays beside the old one and
		// no index is written.
		devices += ` WITH (fillfactor = 70)`
	}
	return []string{
		`ALTER TABLE blobs ADD COLUMN sha512 varchar(128) NOT NULL DEFAULT ''`,
		`CREATE TABLE client_releases (
			id {id} PRIMARY KEY,
			channel varchar(32) NOT NULL,
			platform varchar(8) NOT NULL,
			arch varchar(8) NOT NULL,
			version varchar(256) NOT NULL,
			version_key varchar(320),
			state varchar(16) NOT NULL,
			published_key varchar(64),
			fallback_id {id} NOT NULL DEFAULT '',
			percentage integer NOT NULL DEFAULT 0,
			full_at bigint NOT NULL DEFAULT 0,
			forced {bool} NOT NULL,
			min_version varchar(256) NOT NULL DEFAULT '',
			notes {text} NOT NULL,
			manifest {text} NOT NULL,
			revision bigint NOT NULL DEFAULT 0,
			created_by varchar(190) NOT NULL,
			created_at bigint NOT NULL,
			updated_at bigint NOT NULL,
			published_at bigint NOT NULL DEFAULT 0
		){table}`,
		`CREATE UNIQUE INDEX client_releases_version ON client_releases (version_key)`,
		`CREATE UNIQUE INDEX client_releases_published ON client_releases (published_key)`,
		`CREATE INDEX client_releases_track ON client_releases (channel, platform, arch, id)`,
		`CREATE TABLE release_artifacts (
			id {id} PRIMARY KEY,
			release_id {id} NOT NULL,
			kind varchar(16) NOT NULL,
			name varchar(255) NOT NULL,
			asset_id {id} NOT NULL,
			sha256 {hash} NOT NULL,
			sha512 varchar(128) NOT NULL,
			size bigint NOT NULL,
			media_type varchar(128) NOT NULL,
			created_at bigint NOT NULL
		){table}`,
		`CREATE UNIQUE INDEX release_artifacts_name ON release_artifacts (release_id, name)`,
		`CREATE INDEX release_artifacts_file ON release_artifacts (name)`,
		`CREATE INDEX release_artifacts_asset ON release_artifacts (asset_id)`,
		`CREATE TABLE release_digests (
			sha256 {hash} PRIMARY KEY,
			piece_bytes bigint NOT NULL,
			digests {text} NOT NULL,
			created_at bigint NOT NULL
		){table}`,
		`CREATE TABLE device_tokens (
			id {id} PRIMARY KEY,
			tenant_id {id} NOT NULL,
			user_id varchar(190) NOT NULL,
			device_id varchar(128) NOT NULL,
			hash {hash} NOT NULL,
			created_at bigint NOT NULL,
			expires_at bigint NOT NULL,
			revoked_at bigint NOT NULL DEFAULT 0
		){table}`,
		`CREATE UNIQUE INDEX device_tokens_hash ON device_tokens (hash)`,
		`CREATE INDEX device_tokens_device ON device_tokens (tenant_id, device_id)`,
		`CREATE INDEX device_tokens_user ON device_tokens (tenant_id, user_id)`,
		`CREATE INDEX device_tokens_list ON device_tokens (tenant_id, id)`,
		`CREATE INDEX device_tokens_expiry ON device_tokens (expires_at)`,
		devices + `{table}`,
		`CREATE TABLE release_rollups (
			hour bigint NOT NULL,
			tenant_id {id} NOT NULL,
			channel varchar(32) NOT NULL,
			platform varchar(8) NOT NULL,
			arch varchar(8) NOT NULL,
			version varchar(256) NOT NULL,
			devices bigint NOT NULL,
			PRIMARY KEY (hour, tenant_id, channel, platform, arch, version)
		){table}`,
	}
}

func releasesDown(Dialect) []string {
	return []string{
		"DROP TABLE release_rollups", "DROP TABLE release_devices", "DROP TABLE device_tokens", "DROP TABLE release_digests",
		"DROP TABLE release_artifacts", "DROP TABLE client_releases", "ALTER TABLE blobs DROP COLUMN sha512",
	}
}
