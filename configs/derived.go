package configs

import (
	"cmp"
	"io"
	"log/slog"
	"net/url"
	"path/filepath"
	"strings"
	"time"
)

// Values of store.driver and plans.*.duplicates.
const (
	DriverDisk       = "disk"
	DriverS3         = "s3"
	DuplicatesLink   = "link"
	DuplicatesReject = "reject"
)

// Values of alerts.channels.*.kind.
const (
	ChannelWeCom   = "wecom"
	ChannelWebhook = "webhook"
	ChannelLog     = "log"
)

// Values of plans.*.serve, images.presets[].format and videos.presets[].codec.
const (
	ServeAll          = "all"
	ServeVariantsOnly = "variants_only"
	FormatWebP        = "webp"
	FormatAVIF        = "avif"
	CodecH264         = "h264"
	CodecH265         = "h265"
)

// Embedded reports whether the database is SQLite, so that everything is on one machine.
func (c *Config) Embedded() bool { return strings.HasPrefix(c.DatabaseURL(), "sqlite:") }

// DatabaseURL is the database's URL (with its password), by default that of <data_dir>/gatehouse.db. The path of a
// sqlite URL is escaped as in any URL: url.Parse(...).Path is the file.
func (c *Config) DatabaseURL() string {
	if c.Database.URL != "" {
		return c.Database.URL.Reveal()
	}
	return (&url.URL{Scheme: "sqlite", Path: filepath.Join(c.DataDir, "gatehouse.db")}).String()
}

// StoreRoot is the folder of the disk store.
func (c *Config) StoreRoot() string { return cmp.Or(c.Store.Root, filepath.Join(c.DataDir, "store")) }

// SpoolDir is the folder for uploads in flight.
func (c *Config) SpoolDir() string {
	return cmp.Or(c.Intake.SpoolDir, filepath.Join(c.DataDir, "spool"))
}

// ClamdDir is where a clamd that the worker starts has its socket, settings and temporary files.
func (c *Config) ClamdDir() string { return filepath.Join(c.DataDir, "clamd") }

// WorkDir is where the worker's jobs keep their temporary files.
func (c *Config) WorkDir() string { return filepath.Join(c.DataDir, "work") }

// LargestUpload is the largest file that any category lets through, in bytes: what a proxy in front must
// accept, besides the envelope of the form.
func (c *Config) LargestUpload() int64 {
	var largest Bytes
	for _, cat := range c.Categories {
		largest = max(largest, cat.MaxBytes)
	}
	return int64(largest)
}

// MostWaits has how long tasks may wait, by the lane's name.
func (w LaneWaits) MostWaits() map[string]time.Duration {
	return map[string]time.Duration{"scan": w.Scan, "image": w.Image, "video": w.Video, "housekeeping": w.Housekeeping}
}

// On reports whether the channel tells anything: one that needs an address and has none is off.
func (c AlertChannel) On() bool { return c.Kind == ChannelLog || c.URL != "" }

// Concurrency has the number of workers of each lane, by the lane's name.
func (l Lanes) Concurrency() map[string]int {
	return map[string]int{
		"scan":         l.Scan.Concurrency,
		"image":        l.Image.Concurrency,
		"video":        l.Video.Concurrency,
		"housekeeping": l.Housekeeping.Concurrency,
	}
}

// Logger makes the logger that both programs use.
func (l Log) Logger(w io.Writer) *slog.Logger {
	levels := map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	}
	opts := &slog.HandlerOptions{Level: levels[l.Level]}
	if l.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

// Zone is whose clock the hours of the night are by.
func (a Alerts) Zone() *time.Location {
	zone, err := time.LoadLocation(a.Timezone)
	if err != nil {
		return time.UTC // never after the configuration was checked
	}
	return zone
}
