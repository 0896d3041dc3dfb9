package meta

// auditRoleUp adds the role in which an operator did something: it may be another one by now.
func auditRoleUp(Dialect) []string {
	return []string{`ALTER TABLE audit_log ADD COLUMN actor_role varchar(16) NOT NULL DEFAULT ''`}
}

func auditRoleDown(Dialect) []string {
	return []string{`ALTER TABLE audit_log DROP COLUMN actor_role`}
}
