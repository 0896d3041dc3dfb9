package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"
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
}

var routeMethods = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

// Mount puts the rows on the app. guards holds the check of each permission; Public needs none. uploads surrounds
// the rows marked Upload, behind their guard, so that strangers take no place: BoundUploads. All faults of the table
// are reported at once, and then nothing is mounted.
func Mount(app *fiber.App, routes []Route, guards map[Permission]fiber.Handler, uploads fiber.Handler) error {
	if err := check(routes, guards, uploads); err != nil {
		return err
	}
	for _, r := range routes {
		handlers := []fiber.Handler{named(r.Path)}
		if guard := guards[r.Permission]; guard != nil {
			handlers = append(handlers, guard)
		}
		if r.Upload {
			handlers = append(handlers, uploads)
		}
		handlers = append(handlers, r.Handler)
		app.Add(r.Method, r.Path, handlers...)
		if r.Method == http.MethodGet {
			app.Add(http.MethodHead, r.Path, handlers...)
		}
	}
	return nil
}

func check(routes []Route, guards map[Permission]fiber.Handler, uploads fiber.Handler) error {
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
		// Parameters of other names make the same route.
		shape := r.Method + " " + shapeOf(r.Path)
		if other, ok := seen[shape]; ok {
			fault("the same as %s", other)
		}
		seen[shape] = row
	}
	return errors.Join(faults...)
}

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
