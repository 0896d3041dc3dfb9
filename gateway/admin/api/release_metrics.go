package api

import (
	"context"

	"gatehouse/gateway/admin"
	"gatehouse/storage/meta"
)

// VersionQuestion narrows the versions in use.
type VersionQuestion struct {
	Channel  string `query:"channel" json:"-" doc:"Only devices of this channel."`
	Platform string `query:"platform" json:"-" enum:"win32,darwin,linux" doc:"Only devices of this platform."`
}

// VersionDistribution is which versions devices have.
func (a *API) VersionDistribution() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in VersionQuestion) (admin.VersionDistribution, error) {
		return r.Admin.VersionDistribution(ctx, meta.OfTrack{Channel: in.Channel, Platform: in.Platform})
	})
}

// InstallQuestion narrows the list of installs.
type InstallQuestion struct {
	Tenant   string `query:"tenant_id" json:"-" doc:"Only this tenant, by its id or name."`
	Channel  string `query:"channel" json:"-" doc:"Only devices of this channel."`
	Platform string `query:"platform" json:"-" enum:"win32,darwin,linux" doc:"Only devices of this platform."`
}

// TenantInstalls lists what the devices of each tenant have.
func (a *API) TenantInstalls() Endpoint {
	return List(a, func(ctx context.Context, r *Request, in InstallQuestion, p Page) ([]admin.TenantInstalls, error) {
		return r.Admin.TenantInstalls(ctx, in.Tenant, meta.OfTrack{Channel: in.Channel, Platform: in.Platform}, p.After, p.Limit)
	}, func(t admin.TenantInstalls) string { return t.TenantID })
}

// LeaderQuestion says how many tenants a leaderboard has, and which devices count.
type LeaderQuestion struct {
	Limit    *int64 `query:"limit" json:"-" doc:"1 to 100; 10 when it is left out."`
	Channel  string `query:"channel" json:"-" doc:"Only devices of this channel."`
	Platform string `query:"platform" json:"-" enum:"win32,darwin,linux" doc:"Only devices of this platform."`
}

// TenantLeaderboard is which tenants have the most devices.
func (a *API) TenantLeaderboard() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in LeaderQuestion) (admin.TenantLeaderboard, error) {
		return r.Admin.TenantLeaderboard(ctx, meta.OfTrack{Channel: in.Channel, Platform: in.Platform}, in.Limit)
	})
}
