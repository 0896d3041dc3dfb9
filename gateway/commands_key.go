package main

import (
	"context"
	"strings"

	"gatehouse/gateway/admin"
)

type keyCreateCmd struct {
	why
	Tenant string `arg:"" help:"Name or id of the tenant."`
	Name   string `default:"key" placeholder:"NAME" help:"What the key is for; kept with it and in the audit log."`
	JSON   bool   `help:"Print a line of JSON with tenant_id and api_key."`
}

// Run creates a key.
func (k keyCreateCmd) Run(ctx context.Context, c *cli) error {
	return withAdmin(ctx, c, func(a admin.Admin) error {
		a.Reason = k.Reason
		made, err := a.CreateKey(ctx, k.Tenant, admin.KeySpec{Name: k.Name})
		if err != nil {
			return err
		}
		return c.made(made, k.JSON, made.TenantID, made.APIKey)
	})
}

type keyListCmd struct {
	Tenant string `arg:"" help:"Name or id of the tenant."`
	JSON   bool   `help:"Print JSON: a list of objects."`
}

// Run lists keys.
func (k keyListCmd) Run(ctx context.Context, c *cli) error {
	return withAdmin(ctx, c, func(a admin.Admin) error {
		keys, err := a.Keys(ctx, k.Tenant)
		if err != nil {
			return err
		}
		if k.JSON {
			return c.json(keys)
		}
		return c.table(keyRows(keys))
	})
}

func keyRows(keys []admin.Key) [][]string {
	rows := [][]string{{"ID", "NAME", "SCOPES", "CREATED", "STATE"}}
	for _, k := range keys {
		state := "valid"
		switch {
		case k.RevokedAt != nil:
			state = "revoked " + when(*k.RevokedAt)
		case k.ExpiresAt != nil:
			state = "until " + when(*k.ExpiresAt)
		}
		rows = append(rows, []string{k.ID, k.Name, strings.Join(k.Scopes, ","), when(k.CreatedAt), state})
	}
	return rows
}

type keyRevokeCmd struct {
	why
	Key  string `arg:"" help:"Id of the key, as key list shows it, or the key itself where it has leaked."`
	JSON bool   `help:"Print what changed as JSON."`
}

// Run revokes a key.
func (k keyRevokeCmd) Run(ctx context.Context, c *cli) error {
	return withAdmin(ctx, c, func(a admin.Admin) error {
		a.Reason = k.Reason
		change, err := a.RevokeKey(ctx, k.Key)
		if err != nil {
			return err
		}
		return c.changed(change, k.JSON)
	})
}
