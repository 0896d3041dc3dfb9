package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"

	"gatehouse/boot"
)

type reconcileCmd struct {
	Once bool `help:"Run once and print what was done as JSON. The worker also does this by itself, every few minutes."`
}

// Run sweeps once.
func (r reconcileCmd) Run(ctx context.Context, c *cli) error {
	if !r.Once {
		return errors.New("`worker run` reconciles by itself; to do it now: worker reconcile --once")
	}
	cfg, err := c.load()
	if err != nil {
		return err
	}
	log := boot.Logger(cfg)
	db, zones, closeStore, err := openStore(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer closeStore()
	report, err := reconciler(cfg, db, zones, log).Run(ctx)
	return errors.Join(err, json.NewEncoder(os.Stdout).Encode(report)) // what was done is told even when a step failed
}
