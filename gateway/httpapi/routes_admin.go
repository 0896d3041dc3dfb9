package httpapi

import (
	"net/http"

	"gatehouse/gateway/admin/api"
	"gatehouse/gateway/auth/operator"
)

// AdminRoutes is the part of THE route table that is for operators: method, path, least role, the audit log's name for it,
// and the call. steppedUp marks what is dangerous.
func AdminRoutes(a *api.API) []Route {
	const auditor, ops, super = operator.Auditor, operator.Ops, operator.Super
	return []Route{
		login("setup", a.SetUp()),
		login("login", a.Login()),
		during(row(http.MethodPost, "auth/mfa/setup", auditor, "operator.enroll", a.BeginMFA()), operator.StageEnroll),
		during(row(http.MethodPost, "auth/mfa/confirm", auditor, "operator.enroll", a.ConfirmMFA()), operator.StageEnroll),
		during(row(http.MethodPost, "auth/verify", auditor, "operator.verify", a.Verify()), operator.StageVerify),
		during(row(http.MethodPost, "auth/recover", auditor, "operator.recover", a.Recover()), operator.StageVerify),
		during(row(http.MethodPost, "auth/password", auditor, "operator.password", a.ChangePassword()), operator.StagePassword, operator.StageFull),
		row(http.MethodPost, "auth/step-up", auditor, "operator.step_up", a.StepUp()),
		during(row(http.MethodGet, "auth/session", auditor, actionSession, a.Session()), operator.Stages...),
		during(row(http.MethodPost, "auth/logout", auditor, "operator.logout", a.Logout()), operator.Stages...),
		row(http.MethodGet, "auth/sessions", auditor, "operator.sessions", a.Sessions()),
		row(http.MethodDelete, "auth/sessions/:id", auditor, "operator.session_revoke", a.RevokeSession()),

		row(http.MethodGet, "operators", auditor, "operator.list", a.Operators()),
		row(http.MethodGet, "operators/:id", auditor, "operator.show", a.Operator()),
		steppedUp(row(http.MethodPost, "operators", super, "operator.create", a.CreateOperator())),
		steppedUp(row(http.MethodPut, "operators/:id/role", super, "operator.role", a.SetRole())),
		steppedUp(row(http.MethodPost, "operators/:id/deactivate", super, "operator.deactivate", a.DeactivateOperator())),
		steppedUp(row(http.MethodPost, "operators/:id/activate", super, "operator.activate", a.ActivateOperator())),
		steppedUp(row(http.MethodPost, "operators/:id/reset", super, "operator.reset", a.ResetOperator())),
		steppedUp(row(http.MethodPost, "operators/:id/unlock", super, "operator.unlock", a.UnlockOperator())),
		row(http.MethodGet, "operators/:id/sessions", super, "operator.sessions", a.SessionsOf()),
		row(http.MethodGet, "operator-tokens", super, "operator.token_list", a.Tokens()),
		steppedUp(row(http.MethodPost, "operator-tokens", super, "operator.token_create", a.CreateToken())),
		steppedUp(row(http.MethodDelete, "operator-tokens/:id", super, "operator.token_revoke", a.RevokeToken())),
		row(http.MethodGet, "ip-allowlist", auditor, "network.list", a.Networks()),
		steppedUp(row(http.MethodPost, "ip-allowlist", super, "network.add", a.AddNetwork())),
		steppedUp(row(http.MethodDelete, "ip-allowlist/:id", super, "network.remove", a.RemoveNetwork())),

		row(http.MethodGet, "plans", auditor, "plan.list", a.Plans()),
		row(http.MethodGet, "plans/:name", auditor, "plan.show", a.Plan()),
		row(http.MethodPost, "plans", ops, "plan.create", a.CreatePlan()),
		row(http.MethodPatch, "plans/:name", ops, "plan.set", a.SetPlan()),
		steppedUp(row(http.MethodDelete, "plans/:name", super, "plan.remove", a.RemovePlan())),

		row(http.MethodGet, "openapi.yaml", auditor, "api.document", adminDocument()),
		row(http.MethodGet, "overview", auditor, "overview.show", a.Overview()),

		row(http.MethodGet, "tenants", auditor, "tenant.list", a.Tenants()),
		row(http.MethodPost, "tenants", ops, "tenant.create", a.CreateTenant()),
		row(http.MethodGet, "tenants/:id", auditor, "tenant.show", a.Tenant()),
		row(http.MethodPatch, "tenants/:id", ops, "tenant.rename", a.EditTenant()),
		steppedUp(row(http.MethodDelete, "tenants/:id", super, "tenant.delete", a.DeleteTenant())),
		row(http.MethodGet, "tenants/:id/events", auditor, "tenant.events", a.TenantEvents()),
		row(http.MethodPut, "tenants/:id/plan", ops, "tenant.plan", a.SetTenantPlan()),
		row(http.MethodPut, "tenants/:id/quota", ops, "tenant.quota", a.SetTenantQuota()),
		row(http.MethodDelete, "tenants/:id/quota", ops, "tenant.quota", a.DropTenantQuota()),
		row(http.MethodPatch, "tenants/:id/overrides", ops, "tenant.overrides", a.SetOverrides()),
		row(http.MethodPost, "tenants/:id/suspend", ops, "tenant.suspend", a.SuspendTenant()),
		row(http.MethodPost, "tenants/:id/resume", ops, "tenant.resume", a.ResumeTenant()),
		row(http.MethodPost, "tenants/:id/restore", super, "tenant.restore", a.RestoreTenant()),
		row(http.MethodGet, "tenants/:id/export", auditor, "tenant.manifest", a.Manifest()),
		row(http.MethodPost, "tenants/:id/export", ops, "tenant.export", a.Export()),
		steppedUp(row(http.MethodPost, "tenants/:id/purge", super, "tenant.purge_now", a.PurgeTenant())),
		row(http.MethodGet, "tenants/:id/keys", auditor, "key.list", a.Keys()),
		row(http.MethodPost, "tenants/:id/keys", ops, "key.create", a.CreateKey()),
		row(http.MethodDelete, "tenants/:id/keys/:key", ops, "key.revoke", a.RevokeKey()),

		row(http.MethodGet, "audit", auditor, "audit.search", a.Audit()),
		// Before audit/:id, which would take the words for ids. A verification changes nothing, so that auditors may ask for it.
		row(http.MethodGet, "audit/verify", auditor, "audit.verify", a.VerifyAudit()),
		row(http.MethodGet, "audit/checkpoints", auditor, "audit.checkpoints", a.AuditCheckpoints()),
		row(http.MethodGet, "audit/key", auditor, "audit.key", a.AuditKey()),
		row(http.MethodGet, "audit/:id", auditor, "audit.show", a.AuditRecord()),

		row(http.MethodGet, "alerts", auditor, "alert.list", a.Alerts()),
		row(http.MethodGet, "alerts/rules", auditor, "alert.rules", a.AlertRules()),
		row(http.MethodGet, "alerts/channels", auditor, "alert.channels", a.AlertChannels()),
		row(http.MethodPost, "alerts/channels/:name/test", ops, "alert.test", a.TestAlertChannel()),
		row(http.MethodGet, "alerts/notices/:id", auditor, "alert.notice", a.AlertNotice()),
		row(http.MethodGet, "alerts/:id", auditor, "alert.show", a.Alert()),
		row(http.MethodPost, "alerts/:id/acknowledge", ops, "alert.acknowledge", a.AcknowledgeAlert()),

		row(http.MethodGet, "settings", auditor, "setting.list", a.Settings()),
		steppedUp(row(http.MethodPut, "settings/:name", super, "setting.set", a.PutSetting())),
		steppedUp(row(http.MethodDelete, "settings/:name", super, "setting.unset", a.DropSetting())),

		row(http.MethodGet, "reconcile", auditor, "reconcile.list", a.ReconcileRuns()),
		// A run does no more than that of each night, and what would touch too much waits for a person.
		row(http.MethodPost, "reconcile", ops, "reconcile.start", a.StartReconcile()),
		row(http.MethodGet, "reconcile/:id", auditor, "reconcile.show", a.ReconcileRun()),
		row(http.MethodGet, "reconcile/:id/findings", auditor, "reconcile.findings", a.ReconcileFindings()),
		steppedUp(row(http.MethodPost, "reconcile/:id/confirm", super, "reconcile.confirm", a.ConfirmReconcile())),
		steppedUp(row(http.MethodPost, "reconcile/:id/cancel", super, "reconcile.cancel", a.CancelReconcile())),

		row(http.MethodGet, "snapshots", auditor, "snapshot.list", a.Snapshots()),
		row(http.MethodPost, "snapshots", ops, "snapshot.start", a.TakeSnapshot()),
		row(http.MethodGet, "snapshots/:id", auditor, "snapshot.show", a.Snapshot()),
		row(http.MethodPost, "snapshots/:id/verify", ops, "snapshot.check", a.VerifySnapshot()),
		steppedUp(row(http.MethodDelete, "snapshots/:id", super, "snapshot.remove", a.RemoveSnapshot())),

		metric("version-distribution", "release.metrics_versions", a.VersionDistribution()),
		metric("tenant-installs", "release.metrics_installs", a.TenantInstalls()),
		metric("tenant-leaderboard", "release.metrics_leaderboard", a.TenantLeaderboard()),

		row(http.MethodGet, "assets", auditor, "asset.list", a.Assets()),
		// Before assets/:id, which would take "bulk" for an id. What deletes has a row of its own: a row has one least role.
		row(http.MethodGet, "assets/bulk", auditor, "asset.bulk_list", a.BulkRuns()),
		row(http.MethodPost, "assets/bulk", ops, "asset.bulk", a.Bulk()),
		steppedUp(row(http.MethodPost, "assets/bulk/delete", super, "asset.bulk_delete", a.BulkDelete())),
		row(http.MethodGet, "assets/bulk/:id", auditor, "asset.bulk_show", a.BulkRun()),
		row(http.MethodPost, "assets/bulk/:id/cancel", ops, "asset.bulk_cancel", a.CancelBulk()),
		row(http.MethodGet, "assets/:id", auditor, "asset.show", a.Asset()),
		row(http.MethodGet, "assets/:id/history", auditor, "asset.history", a.AssetHistory()),
		row(http.MethodPost, "assets/:id/retry", ops, "asset.retry", a.RetryAsset()),
		row(http.MethodPost, "assets/:id/rescan", ops, "asset.rescan", a.RescanAsset()),
		steppedUp(row(http.MethodPost, "assets/:id/rescan-infected", super, "asset.rescan_infected", a.RescanInfected())),
		steppedUp(row(http.MethodDelete, "assets/:id", super, "asset.delete", a.DeleteAsset())),

		// What changes clients is dangerous; a draft reaches nobody.
		row(http.MethodGet, "client-releases", auditor, "release.list", a.ClientReleases()),
		row(http.MethodPost, "client-releases", ops, "release.create", a.CreateRelease()),
		row(http.MethodGet, "client-releases/:id", auditor, "release.show", a.ClientRelease()),
		row(http.MethodPatch, "client-releases/:id", ops, "release.edit", a.EditRelease()),
		row(http.MethodPost, "client-releases/:id/artifacts", ops, "release.artifact_add", a.AttachArtifact()),
		uploading(row(http.MethodPost, "client-releases/:id/artifacts/upload", ops, "release.artifact_add", a.UploadArtifact())),
		row(http.MethodDelete, "client-releases/:id/artifacts/:artifact", ops, "release.artifact_remove", a.DetachArtifact()),
		row(http.MethodGet, "client-releases/:id/check", auditor, "release.check", a.CheckRelease()),
		steppedUp(row(http.MethodPost, "client-releases/:id/publish", super, "release.publish", a.PublishRelease())),
		steppedUp(row(http.MethodPut, "client-releases/:id/percentage", super, "release.percentage", a.SetReleasePercentage())),
		steppedUp(row(http.MethodPost, "client-releases/:id/pause", super, "release.pause", a.PauseRelease())),
		steppedUp(row(http.MethodPost, "client-releases/:id/resume", super, "release.resume", a.ResumeRelease())),
		steppedUp(row(http.MethodPost, "client-releases/:id/unpublish", super, "release.unpublish", a.UnpublishRelease())),
		row(http.MethodGet, "client-releases/:id/rollback", auditor, "release.foresee", a.ForeseeRollback()),
		steppedUp(row(http.MethodPost, "client-releases/:id/rollback", super, "release.rollback", a.RollBackRelease())),
		steppedUp(row(http.MethodPut, "client-releases/:id/force", super, "release.force", a.ForceRelease())),
		steppedUp(row(http.MethodPost, "client-releases/:id/archive", super, "release.archive", a.ArchiveRelease())),

		row(http.MethodGet, "tasks", auditor, "task.list", a.Tasks()),
		row(http.MethodGet, "tasks/:id", auditor, "task.show", a.Task()),
		row(http.MethodPost, "tasks/:id/retry", ops, "task.retry", a.RetryTask()),
		row(http.MethodPost, "tasks/:id/cancel", ops, "task.cancel", a.CancelTask()),
		row(http.MethodGet, "lanes", auditor, "lane.list", a.Lanes()),
		row(http.MethodPost, "lanes/:lane/pause", ops, "lane.pause", a.PauseLane()),
		row(http.MethodPost, "lanes/:lane/resume", ops, "lane.resume", a.ResumeLane()),
	}
}

func row(method, path string, least operator.Role, action string, e api.Endpoint) Route {
	return Route{
		Method: method, Path: adminPrefix + path, Permission: Operator, Role: least, Action: action, Handler: e.Handler, Endpoint: e,
	}
}

// metric is a row of the release API that operators read.
func metric(path, action string, e api.Endpoint) Route {
	r := row(http.MethodGet, "", operator.Auditor, action, e)
	r.Path, r.Slashed = metricsPrefix+path, true
	return r
}

// actionSession is what a session asks about itself.
const actionSession = "operator.session"

// login is a row for strangers who are about to prove that they are operators.
func login(path string, e api.Endpoint) Route {
	return Route{Method: http.MethodPost, Path: adminPrefix + "auth/" + path, Permission: OperatorLogin, Handler: e.Handler, Endpoint: e}
}

// during is a row for sessions that are at those stages of the login.
func during(r Route, stages ...operator.Stage) Route {
	r.Stages = stages
	return r
}

// uploading is a row whose body is a file.
func uploading(r Route) Route {
	r.Upload = true
	return r
}

func steppedUp(r Route) Route {
	r.StepUp = true
	return r
}
