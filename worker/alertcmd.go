package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/prometheus/client_golang/prometheus"

	"gatehouse/boot"
	"gatehouse/storage"
	records "gatehouse/storage/alerts"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
	"gatehouse/worker/alerts"
)

type alertsCmd struct {
	List alertsListCmd `cmd:"" help:"List the alerts that are open, and which channels could not tell of them."`
	Ack  alertsAckCmd  `cmd:"" help:"Acknowledge an alert: it is repeated no more, unless it gets worse."`
	Test alertsTestCmd `cmd:"" help:"Send one message to a channel and print what came back."`
}

type alertsListCmd struct {
	Closed int  `placeholder:"N" help:"Also list the last N alerts that are over."`
	JSON   bool `help:"Print JSON, a line for each alert."`
}

// Run lists alerts.
func (l alertsListCmd) Run(ctx context.Context, c *cli) error {
	db, _, err := c.openAlerts(ctx)
	if err != nil {
		return err
	}
	defer closeAfter(db)
	list, err := records.List(ctx, db, l.Closed, meta.Now())
	if err != nil {
		return err
	}
	if l.JSON {
		out := json.NewEncoder(os.Stdout)
		for _, a := range list {
			if err := out.Encode(a); err != nil {
				return err
			}
		}
		return nil
	}
	if len(list) == 0 {
		fmt.Println("No alert is open.")
		return nil
	}
	return alerts.WriteTable(os.Stdout, list)
}

type alertsAckCmd struct {
	ID string `arg:"" help:"Id of the alert."`
	By string `placeholder:"NAME" help:"Who takes it on; the user of the system by default."`
}

// Run acknowledges an alert.
func (a alertsAckCmd) Run(ctx context.Context, c *cli) error {
	db, _, err := c.openAlerts(ctx)
	if err != nil {
		return err
	}
	defer closeAfter(db)
	who := audit.Actor{Kind: audit.CLI.Kind, ID: cmp.Or(a.By, os.Getenv("SUDO_USER"), os.Getenv("USER"), "cli")}
	alert, err := records.Acknowledge(ctx, db, a.ID, who, records.By{Name: who.ID})
	if errors.Is(err, storage.ErrNotFound) {
		return fmt.Errorf("there is no open alert %s; see worker alerts list", a.ID)
	}
	if err != nil {
		return err
	}
	fmt.Printf("Acknowledged by %s: %s\n", alert.AcknowledgedBy, alert.Message)
	return nil
}

type alertsTestCmd struct {
	Channel string `arg:"" help:"Name of the channel, as in alerts.channels."`
}

// Run sends a message. That it was tried is audited, whatever came of it.
func (a alertsTestCmd) Run(ctx context.Context, c *cli) error {
	db, config, err := c.openAlerts(ctx)
	if err != nil {
		return err
	}
	defer closeAfter(db)
	sender, err := alerts.NewSender(config, db, prometheus.NewRegistry(), slog.New(slog.NewTextHandler(os.Stdout, nil)))
	if err != nil {
		return err
	}
	answer, failed := sender.Try(ctx, a.Channel)
	data := map[string]any{"sent": failed == nil}
	if failed != nil {
		data["problem"] = failed.Error()
	}
	if err := db.InTx(ctx, func(tx *meta.Tx) error {
		return audit.Write(tx, audit.Entry{Actor: audit.CLI, Action: "alert.test", Target: a.Channel, Result: audit.OK, Data: data})
	}); err != nil {
		return err
	}
	if failed != nil {
		return fmt.Errorf("channel %s: %w", a.Channel, failed)
	}
	fmt.Printf("Sent to %s: %s\n", a.Channel, answer)
	return nil
}

// openAlerts opens what the commands need: no store, no scanner.
func (c *cli) openAlerts(ctx context.Context) (*meta.DB, alerts.Config, error) {
	cfg, err := c.load()
	if err != nil {
		return nil, alerts.Config{}, err
	}
	db, err := boot.ExistingDatabase(ctx, cfg)
	if err != nil {
		return nil, alerts.Config{}, err
	}
	if err := db.SchemaCurrent(ctx); err != nil {
		closeAfter(db)
		return nil, alerts.Config{}, err
	}
	return db, alertsConfig(cfg), nil
}

// closeAfter ends a command's database; what it wrote was committed before.
func closeAfter(db *meta.DB) {
	if err := db.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "worker: close database:", err)
	}
}
