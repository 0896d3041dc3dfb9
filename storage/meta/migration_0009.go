package meta

import "fmt"

// auditChainTables are those of the audit log's chain that can only be appended to, like the log itself.
var auditChainTables = []string{"audit_seals", "audit_checkpoints", "audit_archives", "audit_chains"}

// refuseAudit is what the database says to whoever tries all the same.
const refuseAudit = "the audit log is append-only"

// archivedSeal and archivedRecord are true of rows that an archive in the store has; only these may leave the database.
const (
	archivedSeal   = `EXISTS (SELECT 1 FROM audit_archives a WHERE OLD.seq BETWEEN a.first_seq AND a.last_seq)`
	archivedRecord = `EXISTS (SELECT 1 FROM audit_seals s JOIN audit_archives a ON s.seq BETWEEN a.first_seq AND a.last_seq WHERE s.record_id = OLD.id)`
)

// auditChainUp adds what makes the audit log tamper-evident (package audit): seals, checkpoints, archives, and where chains begin.
func auditChainUp(d Dialect) []string {
	out := []string{
		`CREATE TABLE audit_seals (
			seq bigint NOT NULL PRIMARY KEY,
			record_id bigint NOT NULL,
			hash {hash} NOT NULL,
			mac varchar(32) NOT NULL,
			sealed_at bigint NOT NULL
		){table}`,
		`CREATE UNIQUE INDEX audit_seals_record ON audit_seals (record_id)`,
		`CREATE TABLE audit_checkpoints (
			seq bigint NOT NULL PRIMARY KEY,
			chain_id {id} NOT NULL,
			hash {hash} NOT NULL,
			watermark bigint NOT NULL,
			at bigint NOT NULL,
			signature varchar(128) NOT NULL
		){table}`,
		`CREATE TABLE audit_archives (
			first_seq bigint NOT NULL PRIMARY KEY,
			last_seq bigint NOT NULL,
			object varchar(190) NOT NULL,
			bytes bigint NOT NULL,
			sha256 {hash} NOT NULL,
			hash {hash} NOT NULL,
			at bigint NOT NULL
		){table}`,
		`CREATE TABLE audit_chains (
			chain_id {id} NOT NULL PRIMARY KEY,
			first_seq bigint NOT NULL,
			prev_hash {hash} NOT NULL,
			began_at bigint NOT NULL,
			reason varchar(190) NOT NULL,
			gives_up {text} NOT NULL,
			signature varchar(128) NOT NULL
		){table}`,
		// The head of the chain and the watermark: the one row that sealers write by compare-and-set.
		`CREATE TABLE audit_state (
			id bigint NOT NULL PRIMARY KEY,
			chain_id {id} NOT NULL,
			seq bigint NOT NULL,
			hash {hash} NOT NULL,
			watermark bigint NOT NULL
		){table}`,
	}
	for _, table := range auditChainTables {
		out = append(out, appendOnly(d, table)...)
	}
	return append(out, auditLogMayArchive(d)...)
}

// appendOnly makes the triggers of a chain table.
func appendOnly(d Dialect, table string) []string {
	same := map[string]string{
		"audit_seals": "seq = NEW.seq OR record_id = NEW.record_id", "audit_checkpoints": "seq = NEW.seq",
		"audit_archives": "first_seq = NEW.first_seq", "audit_chains": "chain_id = NEW.chain_id",
	}[table]
	covered := "1 = 0"
	if table == "audit_seals" {
		covered = archivedSeal
	}
	switch d {
	case SQLite:
		return []string{
			fmt.Sprintf(`CREATE TRIGGER %[1]s_no_update BEFORE UPDATE ON %[1]s BEGIN SELECT RAISE(ABORT, '%[2]s'); END`, table, refuseAudit),
			fmt.Sprintf(`CREATE TRIGGER %[1]s_no_delete BEFORE DELETE ON %[1]s WHEN NOT (%[3]s) BEGIN SELECT RAISE(ABORT, '%[2]s'); END`, table, refuseAudit, covered),
			// REPLACE removes a row without firing the trigger above.
			fmt.Sprintf(`CREATE TRIGGER %[1]s_no_replace BEFORE INSERT ON %[1]s WHEN EXISTS (SELECT 1 FROM %[1]s WHERE %[3]s)
			BEGIN SELECT RAISE(ABORT, '%[2]s'); END`, table, refuseAudit, same),
		}
	case Postgres:
		refuse := []string{
			fmt.Sprintf(`CREATE TRIGGER %[1]s_no_update BEFORE UPDATE ON %[1]s FOR EACH ROW EXECUTE FUNCTION audit_log_refuse()`, table),
			fmt.Sprintf(`CREATE TRIGGER %[1]s_no_truncate BEFORE TRUNCATE ON %[1]s FOR EACH STATEMENT EXECUTE FUNCTION audit_log_refuse()`, table),
		}
		return append(refuse, postgresNoDelete(table, covered)...)
	case MySQL:
		return []string{
			fmt.Sprintf(`CREATE TRIGGER %[1]s_no_update BEFORE UPDATE ON %[1]s FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '%[2]s'`, table, refuseAudit),
			mysqlNoDelete(table, covered),
		}
	}
	return nil
}

func postgresNoDelete(table, covered string) []string {
	return []string{
		fmt.Sprintf(`CREATE FUNCTION %[1]s_delete() RETURNS trigger LANGUAGE plpgsql AS $$
			BEGIN IF %[2]s THEN RETURN OLD; END IF; RAISE EXCEPTION '%[3]s'; END $$`, table, covered, refuseAudit),
		fmt.Sprintf(`CREATE TRIGGER %[1]s_no_delete BEFORE DELETE ON %[1]s FOR EACH ROW EXECUTE FUNCTION %[1]s_delete()`, table),
	}
}

func mysqlNoDelete(table, covered string) string {
	return fmt.Sprintf(`CREATE TRIGGER %[1]s_no_delete BEFORE DELETE ON %[1]s FOR EACH ROW
		IF NOT (%[2]s) THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '%[3]s'; END IF`, table, covered, refuseAudit)
}

// auditLogMayArchive lets records leave that an archive has; all else stays refused. Inserts get no trigger more.
func auditLogMayArchive(d Dialect) []string {
	switch d {
	case SQLite:
		return []string{
			`DROP TRIGGER audit_log_no_delete`,
			fmt.Sprintf(`CREATE TRIGGER audit_log_no_delete BEFORE DELETE ON audit_log WHEN NOT (%s) BEGIN SELECT RAISE(ABORT, '%s'); END`, archivedRecord, refuseAudit),
		}
	case Postgres:
		return append([]string{
			`DROP TRIGGER audit_log_no_change ON audit_log`,
			`CREATE TRIGGER audit_log_no_change BEFORE UPDATE ON audit_log FOR EACH ROW EXECUTE FUNCTION audit_log_refuse()`,
		}, postgresNoDelete("audit_log", archivedRecord)...)
	case MySQL:
		return []string{`DROP TRIGGER audit_log_no_delete`, mysqlNoDelete("audit_log", archivedRecord)}
	}
	return nil
}

// keepArchives fails where archives exist: their rows are there already. Its first line is what people read then.
const keepArchives = `-- Records of the audit log lie in archives in the store; without their list they would be lost, so there is no way back
	INSERT INTO audit_archives SELECT * FROM audit_archives`

func auditChainDown(d Dialect) []string {
	out := []string{keepArchives}
	switch d {
	case SQLite:
		out = append(out,
			`DROP TRIGGER audit_log_no_delete`,
			`CREATE TRIGGER audit_log_no_delete BEFORE DELETE ON audit_log BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END`,
		)
	case Postgres:
		out = append(out,
			`DROP TRIGGER audit_log_no_delete ON audit_log`,
			`DROP FUNCTION audit_log_delete()`,
			`DROP TRIGGER audit_log_no_change ON audit_log`,
			`CREATE TRIGGER audit_log_no_change BEFORE UPDATE OR DELETE ON audit_log FOR EACH ROW EXECUTE FUNCTION audit_log_refuse()`,
		)
	case MySQL:
		out = append(out,
			`DROP TRIGGER audit_log_no_delete`,
			`CREATE TRIGGER audit_log_no_delete BEFORE DELETE ON audit_log FOR EACH ROW
			SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'the audit log is append-only'`,
		)
	}
	for _, table := range append([]string{"audit_state"}, auditChainTables...) {
		out = append(out, "DROP TABLE "+table)
		if d == Postgres && table != "audit_state" {
			out = append(out, fmt.Sprintf("DROP FUNCTION %s_delete()", table))
		}
	}
	return out
}
