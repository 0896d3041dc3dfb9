package httpapi

import (
	"net/http/httptest"
	"testing"

	"github.com/gofiber/fiber/v2"
	"github.com/stretchr/testify/require"

	"gatehouse/gateway/auth/operator"
)

func TestMountRefusesFaultyRows(t *testing.T) {
	ok := func(c *fiber.Ctx) error { return c.SendString("ok") }
	good := Route{Method: "GET", Path: "/a/:id", Permission: Public, Handler: ok}
	with := func(change func(*Route)) Route {
		r := good
		r.Path = "/b"
		change(&r)
		return r
	}
	tests := []struct {
		name string
		row  Route
		want string
	}{
		{"no permission", with(func(r *Route) { r.Permission = "" }), "GET /b: no permission"},
		{"unknown permission", with(func(r *Route) { r.Permission = "root" }), `GET /b: no guard for the permission "root"`},
		{"no guard", with(func(r *Route) { r.Permission = TenantRead }), `no guard for the permission "tenant:read"`},
		{"no handler", with(func(r *Route) { r.Handler = nil }), "GET /b: no handler"},
		{"no bound", with(func(r *Route) { r.Upload = true }), "GET /b: no bound on uploads"},
		{"HEAD", with(func(r *Route) { r.Method = "HEAD" }), `method "HEAD"`},
		{"lower case", with(func(r *Route) { r.Method = "get" }), `method "get"`},
		{"no slash", with(func(r *Route) { r.Path = "b" }), "the path must begin"},
		{"last slash", with(func(r *Route) { r.Path = "/b/" }), "the path must begin"},
		{"a role for nobody", with(func(r *Route) { r.Role = operator.Ops }), "GET /b: a role, a step-up"},
		{"a step-up for nobody", with(func(r *Route) { r.StepUp = true }), "GET /b: a role, a step-up"},
		{"an action for nobody", with(func(r *Route) { r.Action = "x" }), "GET /b: a role, a step-up"},
		{"no role", with(func(r *Route) { r.Permission, r.Action = Operator, "x" }), `GET /b: the role ""`},
		{"no action", with(func(r *Route) { r.Permission, r.Role = Operator, operator.Ops }), "GET /b: no action"},
		{"an auditor that writes", with(func(r *Route) {
			r.Permission, r.Role, r.Action, r.Method = Operator, operator.Auditor, "x", "POST"
		}), "POST /b: an auditor never writes"},
		{"an admin call for tenants", with(func(r *Route) { r.Path = "/api/admin/b" }), "GET /api/admin/b: everything under /api/admin/"},
		{"a metric for everyone", with(func(r *Route) { r.Path = "/api/release/v1/metrics/b" }), "GET /api/release/v1/metrics/b: everything under"},
		{"twice", good, "GET /a/:id: the same as GET /a/:id"},
		{"twice by another name", with(func(r *Route) { r.Path = "/a/:name" }), "GET /a/:name: the same as GET /a/:id"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			app := fiber.New()
			err := Mount(app, []Route{good, tt.row}, nil, nil)
			require.ErrorContains(t, err, tt.want)
			require.Zero(t, app.HandlersCount(), "nothing is mounted")
		})
	}
}

func TestMount(t *testing.T) {
	var order []string
	step := func(name string) fiber.Handler {
		return func(c *fiber.Ctx) error {
			order = append(order, name)
			return c.Next()
		}
	}
	app := fiber.New()
	require.NoError(t, Mount(app, []Route{
		{Method: "GET", Path: "/a/:id", Permission: TenantRead, Handler: func(c *fiber.Ctx) error { return c.SendString(c.Params("id")) }},
		{Method: "POST", Path: "/a/:id", Permission: TenantWrite, Handler: step("handler"), Upload: true},
	}, map[Permission]Guard{TenantRead: always(step("read")), TenantWrite: always(step("write"))}, step("uploads")))
	for _, method := range []string{"GET", "HEAD"} {
		order = nil
		resp, err := app.Test(httptest.NewRequest(method, "/a/7", nil))
		require.NoError(t, err)
		require.Equal(t, 200, resp.StatusCode)
		require.EqualValues(t, 1, resp.ContentLength)
		require.Equal(t, []string{"read"}, order)
	}
	order = nil
	_, err := app.Test(httptest.NewRequest("POST", "/a/7", nil))
	require.NoError(t, err)
	require.Equal(t, []string{"write", "uploads", "handler"}, order, "strangers take no upload slot")
	resp, err := app.Test(httptest.NewRequest("PUT", "/a/7", nil))
	require.NoError(t, err)
	require.Equal(t, 405, resp.StatusCode)
	require.Equal(t, "GET, HEAD, POST", resp.Header.Get("Allow"))
}

// Addresses are exact, but for those that clients write with a slash at their end.
func TestMountSlashed(t *testing.T) {
	ok := func(c *fiber.Ctx) error { return c.SendString("ok") }
	app := fiber.New(fiber.Config{StrictRouting: true})
	require.NoError(t, Mount(app, []Route{
		{Method: "GET", Path: "/exact", Permission: Public, Handler: ok},
		{Method: "GET", Path: "/slashed", Permission: Public, Handler: ok, Slashed: true},
	}, nil, nil))
	for path, want := range map[string]int{"/exact": 200, "/exact/": 404, "/slashed": 200, "/slashed/": 200} {
		for _, method := range []string{"GET", "HEAD"} {
			resp, err := app.Test(httptest.NewRequest(method, path, nil))
			require.NoError(t, err)
			require.Equal(t, want, resp.StatusCode, "%s %s", method, path)
		}
	}
}

func TestOpenAPIPath(t *testing.T) {
	require.Equal(t, "/api/v1/assets/{id}/variants/{preset}", Route{Path: "/api/v1/assets/:id/variants/:preset"}.OpenAPIPath())
}
