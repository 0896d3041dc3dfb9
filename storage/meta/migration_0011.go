package meta

// rollupsUp adds the counters that the operators' overview is made of, and the indexes of the search in the audit log.
func rollupsUp(d Dialect) []string {
	on := ""
	if d == MySQL {
		on = " ON audit_log"
	}
	out := []string{
		`CREATE TABLE stat_hours (
			hour bigint NOT NULL,
			metric varchar(32) NOT NULL,
			label varchar(64) NOT NULL,
			n bigint NOT NULL,
			PRIMARY KEY (hour, metric, label)
		){table}`,
		`CREATE TABLE tenant_days (
			tenant_id {id} NOT NULL,
			day bigint NOT NULL,
			uploads bigint NOT NULL,
			bytes bigint NOT NULL,
			refusals bigint NOT NULL,
			rejected bigint NOT NULL,
			PRIMARY KEY (tenant_id, day)
		){table}`,
		`CREATE INDEX tenant_days_day ON tenant_days (day)`,
		`CREATE TABLE tenant_activity (
			tenant_id {id} PRIMARY KEY,
			last_upload_at bigint NOT NULL
		){table}`,
		// It took the place of the index of 0001: the same size, and it also serves what a tenant did of one kind.
		`DROP INDEX audit_log_tenant` + on,
	}
	for _, x := range auditIndexes {
		out = append(out, x.create(d))
	}
	return out
}

func rollupsDown(d Dialect) []string {
	on := ""
	if d == MySQL {
		on = " ON audit_log"
	}
	var out []string
	for _, x := range auditIndexes {
		out = append(out, "DROP INDEX "+x.name+on)
	}
	return append(out, `CREATE INDEX audit_log_tenant ON audit_log (tenant_id, id)`,
		"DROP TABLE tenant_activity", "DROP TABLE tenant_days", "DROP TABLE stat_hours",
		// Or the counters, made anew one day, would begin where these ended.
		"DELETE FROM facts WHERE name = '"+factRollups+"'")
}

// auditIndex serves one filter of the search. It ends in the number, so that it gives the newest first; those with the action
// in between also serve the two filters together.
type auditIndex struct {
	name, column string
	byAction     bool
	// only is what the index leaves out, where a database can: most records are uploads and verdicts, which have no role and
	// no refusal, and pay for what they are in.
	only string
}

// auditIndexes is THE list of them. It belongs to the migration 0011: an index that comes later is a migration of its own.
var auditIndexes = []auditIndex{
	{"audit_log_by_tenant", "tenant_id", true, ""},
	{"audit_log_by_kind", "actor_kind", true, ""},
	{"audit_log_by_actor", "actor_id", true, "actor_id <> ''"},
	{"audit_log_by_role", "actor_role", true, "actor_role <> ''"},
	{"audit_log_by_address", "address", true, "address <> ''"},
	{"audit_log_by_result", "result", true, "result <> 'ok'"},
	{"audit_log_by_code", "code", false, "code <> ''"},
	{"audit_log_by_target", "target", false, "target <> ''"},
	{"audit_log_by_request", "request_id", false, "request_id <> ''"},
}

func (x auditIndex) create(d Dialect) string {
	columns, where := x.column+", id", ""
	if x.byAction {
		columns = x.column + ", action, id"
	}
	if x.only != "" && d != MySQL {
		where = " WHERE " + x.only
	}
	return "CREATE INDEX " + x.name + " ON audit_log (" + columns + ")" + where
}
