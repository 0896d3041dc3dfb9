package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"gatehouse/gateway/admin/api"
	"gatehouse/gateway/auth/operator"
	"gatehouse/gateway/release"
)

// Permission says who may call a route. There is no zero permission: a row that names none does not start.
type Permission string

// The permissions of the tenant API.
const (
	// Public is for everyone: health, documentation, signed links.
	Public Permission = "public"
	// TenantRead and TenantWrite need an API key with that scope.
	TenantRead  Permission = "tenant:read"
	TenantWrite Permission = "tenant:write"
	// DeviceToken needs what looks like a device token; the handler's statement finds out whether it is one.
	DeviceToken Permission = "device"
	// Operator needs an operator of at least the row's role.
	Operator Permission = "operator"
	// OperatorLogin is for strangers who are about to prove that they are operators.
	OperatorLogin Permission = "operator:login"
)

// Route is a row of THE route table.
type Route struct {
	// Method is GET, POST, PUT, PATCH or DELETE. HEAD comes with GET.
	Method string
	// Path is a fiber pattern: /api/v1/assets/:id
	Path       string
	Permission Permission
	Handler    fiber.Handler
	// Upload marks a route whose body may be large: it counts against the bound on running uploads.
	Upload bool
	// Slashed: the path also answers with a slash at its end, as clients of the release API write some of them.
	Slashed bool
	// Quiet: many clients ask again and again, so that answers without trouble are in the log at the level debug only. The
	// metrics count them all.
	Quiet bool

	// Role is the least role of a row for operators, and of no other row.
	Role operator.Role
	// StepUp: the call is dangerous, and needs a code of the second factor that is at most five minutes old.
	StepUp bool
	// Stages are how far a session may have come; none is operator.StageFull. A row of an earlier stage is part of the login.
	Stages []operator.Stage
	// Action is what the audit log calls the call of an operator: what was read, and what was refused or failed. What was
	// changed is recorded by its use case, in its own transaction, under the same name. No other row has one.
	Action string
	// Endpoint describes the call of an operator to the OpenAPI document.
	Endpoint api.Endpoint
}

// Guard makes the check that stands before a row.
type Guard func(Route) fiber.Handler

var routeMethods = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

// Mount puts the rows on the app. guards holds the check of each permission; Public needs none. uploads surrounds
// the rows marked Upload, behind their guard, so that strangers take no place: BoundUploads. All faults of the table
// are reported at once, and then nothing is mounted.
func Mount(app *fiber.App, routes []Route, guards map[Permission]Guard, uploads fiber.Handler) error {
	if err := check(routes, guards, uploads); err != nil {
		return err
	}
	for _, r := range routes {
		handlers := []fiber.Handler{named(r)}
		if guard := guards[r.Permission]; guard != nil {
			handlers = append(handlers, guard(r))
		}
		if r.Upload {
			handlers = append(handlers, uploads)
		}
		handlers = append(handlers, r.Handler)
		paths := []string{r.Path}
		if r.Slashed {
			paths = append(paths, r.Path+"/")
		}
		for _, path := range paths {
			app.Add(r.Method, path, handlers...)
			if r.Method == http.MethodGet {
				app.Add(http.MethodHead, path, handlers...)
			}
		}
	}
	return nil
}

func check(routes []Route, guards map[Permission]Guard, uploads fiber.Handler) error {
	var faults []error
	seen := map[string]string{}
	for _, r := range routes {
		row := r.Method + " " + r.Path
		fault := func(format string, args ...any) {
			faults = append(faults, fmt.Errorf("route %s: "+format, append([]any{row}, args...)...))
		}
		if !slices.Contains(routeMethods, r.Method) {
			fault("method %q is not one of %s", r.Method, strings.Join(routeMethods, ", "))
		}
		if !strings.HasPrefix(r.Path, "/") || (len(r.Path) > 1 && strings.HasSuffix(r.Path, "/")) {
			fault("the path must begin with a slash and not end in one")
		}
		if r.Handler == nil {
			fault("no handler")
		}
		if r.Upload && uploads == nil {
			fault("no bound on uploads")
		}
		switch {
		case r.Permission == "":
			fault("no permission")
		case r.Permission != Public && guards[r.Permission] == nil:
			fault("no guard for the permission %q", r.Permission)
		}
		checkOperators(r, fault)
		// Parameters of other names make the same route.
		shape := r.Method + " " + shapeOf(r.Path)
		if other, ok := seen[shape]; ok {
			fault("the same as %s", other)
		}
		seen[shape] = row
	}
	return errors.Join(faults...)
}

const (
	// adminPrefix begins the addresses of operators.
	adminPrefix = "/api/admin/"
	// ReleasePrefix begins those of the release API, metricsPrefix what operators read there.
	ReleasePrefix = release.Prefix
	metricsPrefix = ReleasePrefix + "metrics/"
)

// forOperators reports whether the address is one of operators.
func forOperators(path string) bool {
	return strings.HasPrefix(path, adminPrefix) || strings.HasPrefix(path, metricsPrefix)
}

// checkOperators finds the faults of what only rows for operators have.
func checkOperators(r Route, fault func(string, ...any)) {
	mine := r.Permission == Operator
	login := r.Permission == OperatorLogin
	switch {
	case !mine && (r.Role != "" || r.StepUp || len(r.Stages) > 0 || r.Action != ""):
		fault("a role, a step-up, a stage and an action are for operators")
	case mine && !r.Role.Known():
		fault("the role %q is none of %v", r.Role, operator.Roles)
	case mine && r.Action == "":
		fault("no action for the audit log")
	case mine && r.Role == operator.Auditor && r.Method != http.MethodGet && len(r.Stages) == 0 && !strings.HasPrefix(r.Path, adminPrefix+"auth/"):
		fault("an auditor never writes")
	}
	if forOperators(r.Path) != (mine || login) {
		fault("everything under %s and %s is for operators, and nothing else is", adminPrefix, metricsPrefix)
	}
}

// stages are those in which a session may call the row.
func (r Route) stages() []operator.Stage {
	if len(r.Stages) == 0 {
		return []operator.Stage{operator.StageFull}
	}
	return r.Stages
}

// ofSession: what a session does about itself.
func (r Route) ofSession() bool { return strings.HasPrefix(r.Path, adminPrefix+"auth/") }

func shapeOf(path string) string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		if strings.HasPrefix(p, ":") {
			parts[i] = ":"
		}
	}
	return strings.Join(parts, "/")
}

// OpenAPIPath is the route's path as OpenAPI writes it: /api/v1/assets/{id}
func (r Route) OpenAPIPath() string {
	parts := strings.Split(r.Path, "/")
	for i, p := range parts {
		if name, ok := strings.CutPrefix(p, ":"); ok {
			parts[i] = "{" + name + "}"
		}
	}
	return strings.Join(parts, "/")
}
