package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"gatehouse/boot"
	"gatehouse/configs"
	"gatehouse/gateway/admin"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
)

// errNoAuditKey: nothing can be verified without a key.
var errNoAuditKey = errors.New("audit.signing_key or audit.public_key must be set to verify the audit log")

type auditVerifyCmd struct {
	File      string `type:"path" placeholder:"FILE" help:"Verify an exported file instead, with neither database nor configuration."`
	PublicKey string `placeholder:"KEY" help:"The public key for --file, as gateway audit key prints it."`
	// AllowUnsigned is for exports of who has the public key only.
	AllowUnsigned bool `help:"Take a --file whose end is not signed: it can have been cut off, or written, by anybody."`
	JSON          bool `help:"Print what was found as JSON."`
}

// Run verifies the log, or a file.
func (l auditVerifyCmd) Run(ctx context.Context, c *cli) error {
	if l.File != "" {
		return l.offline(c)
	}
	return withConfig(ctx, c, func(cfg *configs.Config, a admin.Admin) error {
		zones, err := boot.ExistingZones(ctx, cfg)
		if err != nil {
			return err
		}
		defer closing("store", zones.Close)
		v, err := boot.AuditVerifier(cfg, a.DB, zones)
		if err == nil && v == nil {
			err = errNoAuditKey
		}
		if err != nil {
			return err
		}
		found, err := v.Verify(ctx)
		if err != nil {
			return err
		}
		return l.tell(c, found)
	})
}

func (l auditVerifyCmd) offline(c *cli) error {
	if l.PublicKey == "" {
		return errors.New("--public-key: the key that the file was signed with is needed; a key that is only in the file itself would prove nothing")
	}
	public, err := audit.ParsePublicKey(l.PublicKey)
	if err != nil {
		return fmt.Errorf("--public-key: %w", err)
	}
	f, err := os.Open(l.File)
	if err != nil {
		return err
	}
	defer closing("file", f.Close)
	found, err := audit.VerifyFile(f, public, l.AllowUnsigned)
	if err != nil {
		return err
	}
	return l.tell(c, found)
}

func (l auditVerifyCmd) tell(c *cli, v audit.Verdict) error {
	if l.JSON {
		if err := c.json(v); err != nil {
			return err
		}
	} else {
		for _, note := range v.Notes {
			if _, err := fmt.Fprintln(c.out, "note:", note); err != nil {
				return err
			}
		}
		if v.Whole {
			_, err := fmt.Fprintln(c.out, v)
			return err
		}
	}
	if !v.Whole {
		return errors.New(v.String())
	}
	return nil
}

type auditExportCmd struct {
	File  string `arg:"" type:"path" help:"Where to; packed when it ends in .gz or .zst. A file that is there is not overwritten."`
	Since string `placeholder:"AGE" help:"Only what is younger, like 90m, 24h or 30d; or a time like 2026-11-02T10:00:00Z."`
	Until string `placeholder:"AGE" help:"Only what is older; said like --since."`
	JSON  bool   `help:"Print what was written as JSON."`
}

// Run exports.
func (l auditExportCmd) Run(ctx context.Context, c *cli) error {
	since, err := parseSince(l.Since, time.Now())
	if err != nil {
		return err
	}
	until, err := parseSince(l.Until, time.Now())
	if err != nil {
		return err
	}
	return withConfig(ctx, c, func(cfg *configs.Config, a admin.Admin) (err error) {
		e, err := auditExporter(cfg, a.DB)
		if err != nil {
			return err
		}
		f, err := os.OpenFile(l.File, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		out, err := e.Export(ctx, f, audit.PackOf(l.File), meta.StampOf(since), meta.StampOf(until))
		if err == nil {
			err = f.Sync()
		}
		if err = errors.Join(err, f.Close()); err != nil {
			return errors.Join(err, os.Remove(l.File)) // half an export is none
		}
		if l.JSON {
			return c.json(out)
		}
		how := ""
		if !out.Signed {
			how = " --allow-unsigned"
			if _, err := fmt.Fprintln(c.out, "note: The file is not signed, because this configuration has audit.public_key only: who has it can cut it off unnoticed."); err != nil {
				return err
			}
		}
		_, err = fmt.Fprintf(c.out, "Wrote %d records, places %d to %d. Verify it with: gateway audit verify --file FILE --public-key %s%s\n",
			out.Records, out.FirstSeq, out.LastSeq, e.Public, how)
		return err
	})
}

// auditExporter signs wherever the configuration has the key to.
func auditExporter(cfg *configs.Config, db *meta.DB) (audit.Exporter, error) {
	e := audit.Exporter{DB: db}
	var err error
	if cfg.Audit.SigningKey == "" && cfg.Audit.PublicKey != "" {
		e.Public, err = audit.ParsePublicKey(cfg.Audit.PublicKey)
		return e, err
	}
	if e.Key, err = boot.AuditKey(cfg); err == nil {
		e.Public = e.Key.Public()
	}
	return e, err
}

type auditKeyCmd struct{}

// Run prints the public key.
func (auditKeyCmd) Run(c *cli) error {
	cfg, err := c.load(configs.ForCommands)
	if err != nil {
		return err
	}
	if cfg.Audit.PublicKey != "" {
		_, err = fmt.Fprintln(c.out, cfg.Audit.PublicKey)
		return err
	}
	key, err := boot.AuditKey(cfg)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(c.out, key.Public())
	return err
}
