package httpapi

import (
	"github.com/gofiber/fiber/v2"

	"gatehouse/gateway/assets"
	"gatehouse/gateway/release"
	"gatehouse/gateway/release/devices"
)

// Handlers are what the routes lead to.
type Handlers struct {
	Assets  *assets.API
	Release *release.API
	Devices *devices.API
	Health  *Health
	// Metrics is nil when /metrics is off, or has an address of its own.
	Metrics fiber.Handler
}

// UploadPath is where uploads go; their headers are also judged before the body is asked for (Precheck).
const UploadPath = "/api/v1/assets"

// Routes is THE route table. A new endpoint is one row here; a row without a permission refuses to start.
func Routes(h Handlers) []Route {
	a, updates, d := h.Assets, h.Release, h.Devices
	routes := []Route{
		{Method: fiber.MethodPost, Path: UploadPath, Permission: TenantWrite, Handler: a.Upload, Upload: true},
		{Method: fiber.MethodPost, Path: "/api/v1/assets/check", Permission: TenantWrite, Handler: a.Check},
		{Method: fiber.MethodGet, Path: "/api/v1/assets", Permission: TenantRead, Handler: a.List},
		{Method: fiber.MethodGet, Path: "/api/v1/assets/:id", Permission: TenantRead, Handler: a.Get},
		{Method: fiber.MethodDelete, Path: "/api/v1/assets/:id", Permission: TenantWrite, Handler: a.Delete},
		{Method: fiber.MethodGet, Path: "/api/v1/assets/:id/content", Permission: TenantRead, Handler: a.Content},
		{Method: fiber.MethodGet, Path: "/api/v1/assets/:id/variants/:preset", Permission: TenantRead, Handler: a.Variant},
		{Method: fiber.MethodPost, Path: "/api/v1/assets/:id/links", Permission: TenantWrite, Handler: a.Link},
		{Method: fiber.MethodGet, Path: "/api/v1/assets/:id/events", Permission: TenantRead, Handler: a.Events},
		{Method: fiber.MethodGet, Path: "/api/v1/policy", Permission: TenantRead, Handler: a.Policy},
		{Method: fiber.MethodGet, Path: "/api/v1/usage", Permission: TenantRead, Handler: a.Usage},

		{Method: fiber.MethodPost, Path: "/api/v1/device-tokens", Permission: TenantWrite, Handler: d.Mint},
		{Method: fiber.MethodGet, Path: "/api/v1/device-tokens", Permission: TenantRead, Handler: d.List},
		{Method: fiber.MethodDelete, Path: "/api/v1/device-tokens", Permission: TenantWrite, Handler: d.RevokeAll},
		{Method: fiber.MethodDelete, Path: "/api/v1/device-tokens/:id", Permission: TenantWrite, Handler: d.Revoke},
		{Method: fiber.MethodPost, Path: ReleasePrefix + "heartbeats", Slashed: true, Permission: DeviceToken, Quiet: true, Handler: d.Heartbeat},

		{Method: fiber.MethodGet, Path: "/d/:token", Permission: Public, Handler: a.Download},

		{Method: fiber.MethodGet, Path: ReleasePrefix + "updates/latest", Permission: Public, Quiet: true, Handler: updates.Latest, Slashed: true},
		{Method: fiber.MethodGet, Path: ReleasePrefix + "feed/:channel/:platform/:arch/:file", Permission: Public, Quiet: true, Handler: updates.Feed},
		{Method: fiber.MethodGet, Path: ReleasePrefix + "feed/:channel/:platform/:arch/:version/:name", Permission: Public, Quiet: true, Handler: updates.File},

		{Method: fiber.MethodGet, Path: "/healthz", Permission: Public, Handler: h.Health.Healthz},
		{Method: fiber.MethodGet, Path: "/readyz", Permission: Public, Handler: h.Health.Readyz},
		{Method: fiber.MethodGet, Path: "/openapi.yaml", Permission: Public, Handler: sendDocument(OpenAPI)},
	}
	if h.Metrics != nil {
		routes = append(routes, Route{Method: fiber.MethodGet, Path: "/metrics", Permission: Public, Handler: h.Metrics})
	}
	return routes
}
