package disk

import (
	"context"
	"log/slog"
	"os"
	"time"

	"gatehouse/storage/meta"
)

// Every is how often a program tells what its disks are.
const Every = 5 * time.Minute

// Reporter tells the database about the disks that one program uses.
type Reporter struct {
	DB *meta.DB
	// Program is gateway or worker.
	Program string
	Places  []Place
	Log     *slog.Logger
}

// Run tells, now and every five minutes, until ctx ends.
func (r Reporter) Run(ctx context.Context) {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	for {
		if err := r.Tell(ctx, host); err != nil && ctx.Err() == nil {
			r.Log.Error("tell how full the disks are", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(Every):
		}
	}
}

// Tell measures once.
func (r Reporter) Tell(ctx context.Context, host string) error {
	disks, err := MeasureAll(r.Places)
	if err != nil {
		r.Log.Warn("some disks could not be measured", "error", err)
	}
	return r.DB.SetDisks(ctx, meta.DiskFact{Program: r.Program, Host: host, Disks: disks, At: meta.Now()})
}
