package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"gatehouse/boot"
	"gatehouse/configs"
	"gatehouse/gateway/admin"
	"gatehouse/gateway/httpapi"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
)

type migrateCmd struct{}

// Run migrates and seeds the plans.
func (migrateCmd) Run(ctx context.Context, c *cli) error {
	cfg, err := c.load(configs.ForCommands)
	if err != nil {
		return err
	}
	db, err := boot.Database(ctx, cfg)
	if err != nil {
		return err
	}
	defer closeDB(db)
	if err := db.Migrate(ctx); err != nil {
		return err
	}
	if err := boot.SeedPlans(ctx, cfg, db); err != nil {
		return err
	}
	plans, err := db.Plans(ctx)
	if err != nil {
		return fmt.Errorf("list plans: %w", err)
	}
	names := make([]string, len(plans))
	for i, p := range plans {
		names[i] = p.Name
	}
	_, err = fmt.Printf("The database is up to date: schema %s, plans %s.\n", meta.SchemaVersion(), strings.Join(names, ", "))
	return err
}

type tenantCreateCmd struct {
	Name string `arg:"" help:"Name of the tenant, unique."`
	Plan string `required:"" placeholder:"PLAN" help:"Plan of the tenant: free, pro, enterprise or one of your own."`
	JSON bool   `help:"Print a line of JSON with tenant_id and api_key."`
}

// Run creates a tenant.
func (t tenantCreateCmd) Run(ctx context.Context, c *cli) error {
	return withAdmin(ctx, c, func(a admin.Admin) error {
		made, err := a.CreateTenant(ctx, t.Name, t.Plan)
		if err != nil {
			return err
		}
		return printMade(made, t.JSON, made.TenantID, made.APIKey)
	})
}

type keyCreateCmd struct {
	Tenant string `arg:"" help:"Name or id of the tenant."`
	Name   string `default:"key" placeholder:"NAME" help:"What the key is for; kept with it and in the audit log."`
	JSON   bool   `help:"Print a line of JSON with tenant_id and api_key."`
}

// Run creates a key.
func (k keyCreateCmd) Run(ctx context.Context, c *cli) error {
	return withAdmin(ctx, c, func(a admin.Admin) error {
		made, err := a.CreateKey(ctx, k.Tenant, k.Name)
		if err != nil {
			return err
		}
		return printMade(made, k.JSON, made.TenantID, made.APIKey)
	})
}

type openapiCmd struct{}

// Run prints the document.
func (openapiCmd) Run() error {
	_, err := os.Stdout.Write(httpapi.OpenAPI)
	return err
}

type configPrintCmd struct{}

// Run prints the configuration in force.
func (configPrintCmd) Run(c *cli) error {
	cfg, err := c.load(configs.ForCommands)
	if err != nil {
		return err
	}
	return cfg.Print(os.Stdout)
}

func withAdmin(ctx context.Context, c *cli, do func(admin.Admin) error) error {
	cfg, err := c.load(configs.ForCommands)
	if err != nil {
		return err
	}
	db, err := boot.Database(ctx, cfg)
	if err != nil {
		return err
	}
	defer closeDB(db)
	if err := db.SchemaCurrent(ctx); err != nil {
		return err
	}
	return do(admin.Admin{DB: db, Actor: audit.CLI})
}

func printMade(made any, asJSON bool, tenantID, key string) error {
	if asJSON {
		return json.NewEncoder(os.Stdout).Encode(made)
	}
	_, err := fmt.Printf("tenant_id: %s\napi_key:   %s\nThe key is shown this once; keep it safe.\n", tenantID, key)
	return err
}

// closeDB ends a command's database; what it wrote was committed before, so a failing close loses nothing.
func closeDB(db *meta.DB) {
	if err := db.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "gateway: close database:", err)
	}
}
