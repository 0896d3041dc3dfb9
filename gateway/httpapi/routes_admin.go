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
		row(http.MethodGet, "plans", auditor, "plan.list", a.Plans()),
		row(http.MethodGet, "plans/:name", auditor, "plan.show", a.Plan()),
		row(http.MethodPost, "plans", ops, "plan.create", a.CreatePlan()),
		row(http.MethodPatch, "plans/:name", ops, "plan.set", a.SetPlan()),
		steppedUp(row(http.MethodDelete, "plans/:name", super, "plan.remove", a.RemovePlan())),

		row(http.MethodGet, "openapi.yaml", auditor, "api.document", adminDocument()),
	}
}

func row(method, path string, least operator.Role, action string, e api.Endpoint) Route {
	return Route{
		Method: method, Path: adminPrefix + path, Permission: Operator, Role: least, Action: action, Handler: e.Handler, Endpoint: e,
	}
}

func steppedUp(r Route) Route {
	r.StepUp = true
	return r
}
