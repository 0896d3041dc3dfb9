// Package boot turns the configuration into the parts that both programs need: log, database, zones. It is the
// one place that knows both the configuration's words and the parts' own.
package boot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"slices"

	"gatehouse/configs"
	"gatehouse/quota"
	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
)

// Logger is the program's log, on standard error.
func Logger(cfg *configs.Config) *slog.Logger { return cfg.Log.Logger(os.Stderr) }

// Database opens the database, and makes the file of a SQLite one; it does not migrate.
func Database(ctx context.Context, cfg *configs.Config) (*meta.DB, error) {
	if cfg.Embedded() {
		// The database is the first thing in the data folder; everything in it is the tenants' or secret.
		if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
			return nil, fmt.Errorf("make data_dir: %w", err)
		}
		if err := makePrivate(cfg.DatabaseURL()); err != nil {
			return nil, err
		}
	}
	return meta.Open(ctx, meta.Config{
		URL: cfg.DatabaseURL(), MaxOpenConns: cfg.Database.MaxOpenConns, MaxIdleConns: cfg.Database.MaxIdleConns,
		ConnMaxLifetime: cfg.Database.ConnMaxLifetime, BusyTimeout: cfg.Database.BusyTimeout,
	})
}

// makePrivate makes the file of a SQLite database before SQLite does, for its owner only; the files beside it take
// its mode. One that is there keeps the mode it has.
func makePrivate(databaseURL string) error {
	u, err := url.Parse(databaseURL)
	if err != nil {
		return fmt.Errorf("database.url: %w", err)
	}
	f, err := os.OpenFile(u.Path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	return f.Close()
}

// Zones opens the store, and makes what is missing of it.
func Zones(ctx context.Context, cfg *configs.Config) (*blob.Zones, error) {
	return blob.Open(ctx, store(cfg))
}

func store(cfg *configs.Config) blob.Config {
	s3 := cfg.Store.S3
	retries := s3.Retries
	if retries == 0 {
		retries = -1 // the store's own zero means its default
	}
	return blob.Config{
		Driver: cfg.Store.Driver, Root: cfg.StoreRoot(),
		Endpoint: s3.Endpoint, Region: s3.Region, AccessKey: s3.AccessKey.Reveal(), SecretKey: s3.SecretKey.Reveal(),
		UseTLS: s3.UseTLS, PathStyle: s3.PathStyle, QuarantineBucket: s3.QuarantineBucket, CleanBucket: s3.CleanBucket,
		SnapshotBucket: s3.SnapshotBucket, AuditBucket: s3.AuditBucket, Timeout: s3.Timeout, Retries: retries,
	}
}

// AuditKey is the key that signs the audit log's checkpoints.
func AuditKey(cfg *configs.Config) (*audit.Key, error) {
	seed, err := cfg.AuditSeed()
	if err != nil {
		return nil, err
	}
	return audit.ParseKey(seed)
}

// AuditVerifier checks the audit log with what the configuration has: the signing key, or the public key alone. It gives nil
// when it has neither.
func AuditVerifier(cfg *configs.Config, db *meta.DB, zones *blob.Zones) (*audit.Verifier, error) {
	v := &audit.Verifier{DB: db, Zone: zones.Audit}
	var err error
	if cfg.Audit.PublicKey != "" {
		v.Public, err = audit.ParsePublicKey(cfg.Audit.PublicKey)
		return v, err
	}
	if cfg.Audit.SigningKey == "" && !cfg.Embedded() {
		return nil, nil
	}
	if v.Key, err = AuditKey(cfg); err != nil {
		return nil, err
	}
	v.Public = v.Key.Public()
	return v, nil
}

// Ledger is the quota ledger over the database.
func Ledger(cfg *configs.Config, db *meta.DB) quota.Ledger {
	return quota.Ledger{DB: db, TTL: cfg.Quota.ReservationTTL, Grace: cfg.Retention.DeletedGrace}
}

// Policy is what a tenant may upload before its plan refines it.
func Policy(cfg *configs.Config) storage.Policy {
	p := storage.Policy{
		Categories: map[storage.Category]storage.CategoryPolicy{},
		Limits: storage.Limits{
			MaxNameBytes: cfg.Intake.MaxNameBytes, MaxPixels: cfg.Intake.MaxPixels, MaxDimension: cfg.Intake.MaxDimension,
			MaxFrames: cfg.Intake.MaxFrames, MaxZipMembers: cfg.Intake.MaxZipMembers,
			MaxZipUnpackedBytes: int64(cfg.Intake.MaxZipUnpackedBytes), MaxZipRatio: cfg.Intake.MaxZipRatio,
			MaxReleaseUnpackedBytes: int64(cfg.Intake.MaxReleaseUnpackedBytes), MaxScanBytes: int64(cfg.Scanner.MaxFileBytes),
			MaxPDFInflateBytes: int64(cfg.Intake.MaxPDFInflateBytes),
		},
	}
	for name, c := range cfg.Categories {
		extensions := slices.Sorted(slices.Values(c.Extensions))
		p.Categories[storage.Category(name)] = storage.CategoryPolicy{Extensions: extensions, MaxBytes: int64(c.MaxBytes)}
	}
	return p
}

// SeedPlans writes the configured plans that the database does not have. It leaves out, and returns the names of, those that
// tenants are on: their records were lost, and need not have said what is configured.
func SeedPlans(ctx context.Context, cfg *configs.Config, db *meta.DB) (lost []string, err error) {
	for name, plan := range cfg.Plans {
		spec := quota.Spec{
			Duplicates: plan.Duplicates, PDFActiveContent: plan.PDFActiveContent, UpgradeURL: plan.UpgradeURL,
			Serve: plan.Serve, ImagePresets: plan.ImagePresets, Transcoding: plan.Transcoding, VideoPresets: plan.VideoPresets,
			MaxVideoHeight: plan.MaxVideoHeight, MaxFiles: plan.MaxFiles, UploadsPerMinute: plan.UploadsPerMinute,
			ConcurrentUploads: plan.ConcurrentUploads, RetentionDays: plan.RetentionDays,
			MaxBytes: map[storage.Category]int64{},
		}
		for _, c := range plan.Categories {
			spec.Categories = append(spec.Categories, storage.Category(c))
		}
		for c, limit := range plan.MaxBytes {
			spec.MaxBytes[storage.Category(c)] = int64(limit)
		}
		raw, err := spec.Encode()
		if err != nil {
			return nil, err
		}
		row := meta.Plan{Name: name, StorageBytes: int64(plan.StorageBytes), Spec: raw, UpdatedAt: meta.Now()}
		alone := false
		err = db.InTx(ctx, func(tx *meta.Tx) error {
			n, err := tx.TenantsOn(name)
			if err != nil {
				return err
			}
			if n == 0 {
				_, err = tx.CreatePlan(row) // what is there already is the operator's
				return err
			}
			_, err = tx.LockPlan(name)
			if alone = errors.Is(err, storage.ErrNotFound); alone {
				return nil
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("seed plan %s: %w", name, err)
		}
		if alone {
			lost = append(lost, name)
		}
	}
	slices.Sort(lost)
	return lost, nil
}
