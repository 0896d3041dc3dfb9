package meta

// The audit log can only be appended to: the database itself refuses to change or remove a record, whoever asks.
func auditTriggersUp(d Dialect) []string {
	switch d {
	case SQLite:
		return []string{
			`CREATE TRIGGER audit_log_no_update BEFORE UPDATE ON audit_log BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END`,
			`CREATE TRIGGER audit_log_no_delete BEFORE DELETE ON audit_log BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END`,
			// REPLACE removes a row without firing the trigger above.
			`CREATE TRIGGER audit_log_no_replace BEFORE INSERT ON audit_log WHEN EXISTS (SELECT 1 FROM audit_log WHERE id = NEW.id)
			BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END`,
		}
	case Postgres:
		return []string{
			`CREATE FUNCTION audit_log_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
			BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$`,
			`CREATE TRIGGER audit_log_no_change BEFORE UPDATE OR DELETE ON audit_log FOR EACH ROW EXECUTE FUNCTION audit_log_refuse()`,
			`CREATE TRIGGER audit_log_no_truncate BEFORE TRUNCATE ON audit_log FOR EACH STATEMENT EXECUTE FUNCTION audit_log_refuse()`,
		}
	case MySQL:
		return []string{
			`CREATE TRIGGER audit_log_no_update BEFORE UPDATE ON audit_log FOR EACH ROW
			SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'the audit log is append-only'`,
			`CREATE TRIGGER audit_log_no_delete BEFORE DELETE ON audit_log FOR EACH ROW
			SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'the audit log is append-only'`,
		}
	}
	return nil
}

func auditTriggersDown(d Dialect) []string {
	switch d {
	case Postgres:
		return []string{
			`DROP TRIGGER audit_log_no_truncate ON audit_log`,
			`DROP TRIGGER audit_log_no_change ON audit_log`,
			`DROP FUNCTION audit_log_refuse()`,
		}
	case SQLite:
		return []string{`DROP TRIGGER audit_log_no_update`, `DROP TRIGGER audit_log_no_delete`, `DROP TRIGGER audit_log_no_replace`}
	case MySQL:
		return []string{`DROP TRIGGER audit_log_no_update`, `DROP TRIGGER audit_log_no_delete`}
	}
	return nil
}
