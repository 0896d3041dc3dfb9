package meta

// tenantLifeUp adds what a tenant's life and its plan's rates need. The two counters of files follow the two of bytes.
func tenantLifeUp(Dialect) []string {
	return []string{
		`ALTER TABLE tenants ADD COLUMN overrides varchar(4000) NOT NULL DEFAULT ''`,
		`ALTER TABLE tenants ADD COLUMN state_reason varchar(500) NOT NULL DEFAULT ''`,
		`ALTER TABLE tenants ADD COLUMN restore_state varchar(32) NOT NULL DEFAULT ''`,
		`ALTER TABLE tenants ADD COLUMN delete_after bigint NOT NULL DEFAULT 0`,
		`ALTER TABLE tenants ADD COLUMN used_files bigint NOT NULL DEFAULT 0 CHECK (used_files >= 0)`,
		`ALTER TABLE tenants ADD COLUMN reserved_files bigint NOT NULL DEFAULT 0 CHECK (reserved_files >= 0)`,
		`ALTER TABLE tenants ADD COLUMN rate_minute bigint NOT NULL DEFAULT 0`,
		`ALTER TABLE tenants ADD COLUMN rate_count bigint NOT NULL DEFAULT 0`,
		`UPDATE tenants SET used_files = (SELECT COUNT(*) FROM assets WHERE assets.tenant_id = tenants.id AND assets.state <> 'deleted'),
			reserved_files = (SELECT COUNT(*) FROM reservations WHERE reservations.tenant_id = tenants.id)`,
		`CREATE INDEX tenants_state ON tenants (state, delete_after)`,
		`CREATE INDEX reservations_tenant ON reservations (tenant_id)`,
	}
}

func tenantLifeDown(d Dialect) []string {
	on := ""
	if d == MySQL {
		on = " ON tenants"
	}
	drop := map[Dialect]string{MySQL: " ON reservations"}[d]
	out := []string{"DROP INDEX tenants_state" + on, "DROP INDEX reservations_tenant" + drop}
	for _, c := range []string{
		"rate_count", "rate_minute", "reserved_files", "used_files", "delete_after", "restore_state", "state_reason", "overrides",
	} {
		out = append(out, "ALTER TABLE tenants DROP COLUMN "+c)
	}
	return out
}
