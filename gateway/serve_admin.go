package main

import (
	"net/url"

	"gatehouse/boot"
	"gatehouse/configs"
	"gatehouse/gateway/admin/api"
	"gatehouse/gateway/auth"
	"gatehouse/gateway/auth/operator"
	"gatehouse/gateway/httpapi"
	"gatehouse/gateway/intake"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
)

// newDesk makes where operators prove who they are.
func newDesk(cfg *configs.Config, db *meta.DB) (*operator.Desk, error) {
	key, err := cfg.OperatorKey()
	if err != nil {
		return nil, err
	}
	return operator.NewDesk(db, key)
}

// newAdmin makes the admin API.
func newAdmin(cfg *configs.Config, db *meta.DB, zones *blob.Zones, desk *operator.Desk, door *intake.Intake, keys *auth.Keys) (*api.API, error) {
	a := &api.API{
		Admin: office(cfg, db), Desk: desk, Intake: door, TenantKeys: keys, Timeout: cfg.HTTP.RequestTimeout, Client: httpapi.Client, RequestID: httpapi.RequestID,
	}
	a.Admin.Zones = zones
	var err error
	if a.Admin.Verifier, err = boot.AuditVerifier(cfg, db, zones); err != nil {
		return nil, err
	}
	return a, nil
}

// ownOrigins are the origins that pages of this gateway have, whatever the Host header says behind a proxy.
func ownOrigins(cfg *configs.Config) []string {
	var out []string
	if u, err := url.Parse(cfg.HTTP.PublicURL); err == nil && u.Host != "" {
		out = append(out, u.Scheme+"://"+u.Host)
	}
	if cfg.HTTP.AdminHost != "" {
		out = append(out, "https://"+cfg.HTTP.AdminHost)
	}
	return out
}
