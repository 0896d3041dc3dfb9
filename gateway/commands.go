package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
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
	_, err = fmt.Fprintf(c.out, "The database is up to date: schema %s, plans %s.\n", meta.SchemaVersion(), strings.Join(names, ", "))
	return err
}

type openapiCmd struct{}

// Run prints the document.
func (openapiCmd) Run(c *cli) error {
	_, err := c.out.Write(httpapi.OpenAPI)
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
	if err := databaseThere(cfg); err != nil {
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
	a := admin.Admin{DB: db, Actor: audit.CLI, CoolingOff: cfg.Tenants.CoolingOff}
	for _, p := range cfg.Images.Presets {
		a.ImagePresets = append(a.ImagePresets, p.Name)
	}
	for _, p := range cfg.Videos.Presets {
		a.VideoPresets = append(a.VideoPresets, p.Name)
	}
	return do(cfg, a)
}

// databaseThere keeps commands from making an empty database where there is none, as in a wrong folder.
func databaseThere(cfg *configs.Config) error {
	if !cfg.Embedded() {
		return nil
	}
	u, err := url.Parse(cfg.DatabaseURL())
	if err != nil {
		return fmt.Errorf("database.url: %w", err)
	}
	if _, err := os.Stat(u.Path); errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("there is no database %s: run `gateway migrate`, or name another data_dir (GATEHOUSE_DATA_DIR)", u.Path)
	} else if err != nil {
		return fmt.Errorf("look for the database: %w", err)
	}
	return nil
}

func closeDB(db *meta.DB) { closing("database", db.Close) }

// closing ends what a command has used; what it wrote was committed before, so a failing close loses nothing.
func closing(what string, do func() error) {
	if err := do(); err != nil {
		fmt.Fprintf(os.Stderr, "gateway: close %s: %v\n", what, err)
	}
}
