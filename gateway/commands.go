package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"gatehouse/boot"
	"gatehouse/configs"
	"gatehouse/gateway/admin"
	"gatehouse/gateway/httpapi"
	"gatehouse/storage"
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
	lost, err := boot.SeedPlans(ctx, cfg, db)
	if err != nil {
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
	if _, err = fmt.Fprintf(c.out, "The database is up to date: schema %s, plans %s.\n", meta.SchemaVersion(), strings.Join(names, ", ")); err != nil {
		return err
	}
	for _, name := range lost {
		if _, err := fmt.Fprintf(c.out, "The plan %s has tenants and no record: it was lost, and is not made anew from the configuration. "+
			"Bring it back with worker snapshot restore ID --fill, or make it with gateway plan create.\n", name); err != nil {
			return err
		}
	}
	return nil
}

type openapiCmd struct {
	Admin bool `help:"The document of the admin API, which /api/admin/openapi.yaml serves to operators."`
}

// Run prints the document.
func (x openapiCmd) Run(c *cli) error {
	document := httpapi.OpenAPI
	if x.Admin {
		document = httpapi.AdminOpenAPI
	}
	_, err := c.out.Write(document)
	return err
}

type configPrintCmd struct{}

// Run prints the configuration in force.
func (configPrintCmd) Run(c *cli) error {
	cfg, err := c.load(configs.ForCommands)
	if err != nil {
		return err
	}
	return cfg.Print(c.out)
}

// withAdmin runs a use case on the configured database.
func withAdmin(ctx context.Context, c *cli, do func(admin.Admin) error) error {
	return withConfig(ctx, c, func(_ *configs.Config, a admin.Admin) error { return do(a) })
}

// withStore is withAdmin for what needs the store too.
func withStore(ctx context.Context, c *cli, do func(admin.Admin) error) error {
	return withConfig(ctx, c, func(cfg *configs.Config, a admin.Admin) error {
		zones, err := boot.Zones(ctx, cfg)
		if err != nil {
			return err
		}
		defer closing("store", zones.Close)
		a.Zones = zones
		return do(a)
	})
}

func withConfig(ctx context.Context, c *cli, do func(*configs.Config, admin.Admin) error) error {
	cfg, err := c.load(configs.ForCommands)
	if err != nil {
		return err
	}
	db, err := boot.ExistingDatabase(ctx, cfg)
	if err != nil {
		return err
	}
	defer closeDB(db)
	if err := db.SchemaCurrent(ctx); err != nil {
		return err
	}
	a := office(cfg, db)
	a.Actor = audit.CLI
	return do(cfg, a)
}

// office is where the use cases of operators are done, for the command line and for the admin API.
func office(cfg *configs.Config, db *meta.DB) admin.Admin {
	a := admin.Admin{
		DB: db, CoolingOff: cfg.Tenants.CoolingOff, DeletedGrace: cfg.Retention.DeletedGrace, MaxBytes: map[storage.Category]int64{},
		Configured: boot.Settings(cfg), SnapshotCache: &admin.SnapshotCache{},
	}
	for name, category := range cfg.Categories {
		a.MaxBytes[storage.Category(name)] = int64(category.MaxBytes)
	}
	for _, p := range cfg.Images.Presets {
		a.ImagePresets = append(a.ImagePresets, p.Name)
	}
	for _, p := range cfg.Videos.Presets {
		a.VideoPresets = append(a.VideoPresets, p.Name)
	}
	return a
}

func closeDB(db *meta.DB) { closing("database", db.Close) }

// closing ends what a command has used; what it wrote was committed before, so a failing close loses nothing.
func closing(what string, do func() error) {
	if err := do(); err != nil {
		fmt.Fprintf(os.Stderr, "gateway: close %s: %v\n", what, err)
	}
}
