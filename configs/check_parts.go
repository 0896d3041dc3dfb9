package configs

import (
	"maps"
	"net"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
)

var (
	extension = regexp.MustCompile(`^[a-z0-9]{1,16}$`)
	// bucket is the name rule that all S3 servers share, without dots because they break TLS host names.
	bucket = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$`)
	prefix = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
)

func (l *loader) checkServices(c *Config) {
	l.must(isDatabaseURL(c.DatabaseURL()), "database.url",
		"postgres://host/name, mysql://host/name or sqlite:///absolute/path is expected, or nothing for SQLite in data_dir")
	l.must(c.Database.MaxIdleConns <= c.Database.MaxOpenConns, "database.max_idle_conns",
		"not more than database.max_open_conns is allowed")
	l.oneOf("store.driver", c.Store.Driver, DriverDisk, DriverS3)
	if c.Store.Driver == DriverS3 {
		l.checkS3(c.Store.S3)
	}
	l.must(c.Broker.URL == "" || isBrokerURL(c.Broker.URL.Reveal()), "broker.url",
		"amqp://user:password@host:5672/vhost or amqps:// is expected, or nothing for no broker")
	l.must(prefix.MatchString(c.Broker.Prefix), "broker.prefix",
		"1 to 64 of letters, digits, dot, underscore and - are expected")
	l.must(isScannerAddress(c.Scanner.Address), "scanner.address",
		"unix:///path or tcp://host:port is expected, or nothing for a clamd that the worker starts")
}

func (l *loader) checkS3(s S3) {
	host, _, err := net.SplitHostPort(s.Endpoint)
	if err != nil {
		host = s.Endpoint
	}
	l.must(host != "" && !strings.ContainsAny(s.Endpoint, "/@?# "), "store.s3.endpoint",
		"host or host:port without scheme is expected when store.driver is s3")
	l.must(s.Region != "", "store.s3.region", "a region is expected when store.driver is s3")
	l.must(s.AccessKey != "", "store.s3.access_key", "must be set when store.driver is s3")
	l.must(s.SecretKey != "", "store.s3.secret_key", "must be set when store.driver is s3")
	const rule = "3 to 63 of a-z, 0-9 and - are expected"
	l.must(bucket.MatchString(s.QuarantineBucket), "store.s3.quarantine_bucket", rule)
	l.must(bucket.MatchString(s.CleanBucket), "store.s3.clean_bucket", rule)
	l.must(s.CleanBucket != s.QuarantineBucket, "store.s3.clean_bucket",
		"another bucket than store.s3.quarantine_bucket is expected")
	l.must(bucket.MatchString(s.SnapshotBucket), "store.s3.snapshot_bucket", rule)
	l.must(bucket.MatchString(s.AuditBucket), "store.s3.audit_bucket", rule)
	l.must(!slices.Contains([]string{s.QuarantineBucket, s.CleanBucket, s.SnapshotBucket}, s.AuditBucket), "store.s3.audit_bucket",
		"must differ from the other buckets")
	l.must(s.SnapshotBucket != s.QuarantineBucket && s.SnapshotBucket != s.CleanBucket, "store.s3.snapshot_bucket",
		"another bucket than store.s3.quarantine_bucket and store.s3.clean_bucket is expected")
}

func isDatabaseURL(s string) bool {
	u, err := url.Parse(s)
	if err != nil {
		return false
	}
	switch u.Scheme {
	case "sqlite":
		return u.Host == "" && path.IsAbs(u.Path) && u.Path != "/" && u.RawQuery == "" && u.Fragment == ""
	case "postgres", "postgresql", "mysql":
		return u.Opaque == "" && len(u.Path) > 1
	}
	return false
}

func isBrokerURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "amqp" || u.Scheme == "amqps") && u.Hostname() != ""
}

func isScannerAddress(s string) bool {
	if s == "" {
		return true
	}
	u, err := url.Parse(s)
	if err != nil {
		return false
	}
	switch u.Scheme {
	case "unix":
		return u.Host == "" && path.IsAbs(u.Path) && u.Path != "/"
	case "tcp":
		return u.Hostname() != "" && u.Port() != "" && u.Path == ""
	}
	return false
}

func (l *loader) checkCategories(c *Config) {
	owner := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(c.Categories)) {
		cat, key := c.Categories[name], "categories."+name
		l.must(slices.Contains(categoryNames, name), key, "allowed are "+strings.Join(categoryNames, ", "))
		l.must(len(cat.Extensions) > 0, key+".extensions", "at least one extension is expected")
		for _, ext := range cat.Extensions {
			l.must(extension.MatchString(ext), key+".extensions", "lower case without the dot is expected: "+ext)
			l.must(owner[ext] == "", key+".extensions", ext+" stands twice; it already belongs to "+owner[ext])
			owner[ext] = name
		}
		l.must(cat.MaxBytes <= c.Scanner.MaxFileBytes, key+".max_bytes", "not more than scanner.max_file_bytes ("+
			c.Scanner.MaxFileBytes.String()+") is allowed: larger files could never be scanned")
	}
	// The worker's clamd unpacks four times max_file_bytes, the file itself included.
	l.must(c.Intake.MaxReleaseUnpackedBytes <= 3*c.Scanner.MaxFileBytes, "intake.max_release_unpacked_bytes",
		"not more than three times scanner.max_file_bytes is allowed: the scanner would not see all of it")
	l.must(len(c.Categories) > 0, "categories", "at least one category is expected")
}

func (l *loader) checkPlans(c *Config) {
	there := strings.Join(slices.Sorted(maps.Keys(c.Categories)), ", ")
	for _, name := range slices.Sorted(maps.Keys(c.Plans)) {
		plan, key := c.Plans[name], "plans."+name
		l.must(len(plan.Categories) > 0, key+".categories", "at least one category is expected; there are "+there)
		for _, cat := range plan.Categories {
			_, known := c.Categories[cat]
			l.must(known, key+".categories", "no such category: "+cat+"; there are "+there)
		}
		for _, cat := range slices.Sorted(maps.Keys(plan.MaxBytes)) {
			limit, known := c.Categories[cat]
			at := key + ".max_bytes." + cat
			l.must(known, at, "no such category; there are "+there)
			l.must(plan.MaxBytes[cat] <= limit.MaxBytes, at,
				"not more than categories."+cat+".max_bytes ("+limit.MaxBytes.String()+") is allowed: a plan only lowers a limit")
		}
		l.oneOf(key+".duplicates", plan.Duplicates, DuplicatesLink, DuplicatesReject)
		l.must(plan.Serve == "" || plan.Serve == ServeAll || plan.Serve == ServeVariantsOnly, key+".serve",
			"all or variants_only is expected")
		l.known(key+".image_presets", plan.ImagePresets, imagePresetNames(c))
		l.known(key+".video_presets", plan.VideoPresets, videoPresetNames(c))
		l.must(plan.Serve != ServeVariantsOnly || plan.Transcoding || !slices.Contains(plan.Categories, "video"), key+".serve",
			"all is expected, or transcoding: without it a video has no variants, and nothing of it could be read")
		l.must(plan.MaxVideoHeight == 0 || plan.MaxVideoHeight >= 72, key+".max_video_height",
			"72 pixels or more are expected, or 0 for what the presets say")
		l.must(plan.UpgradeURL == "" || isWebURL(plan.UpgradeURL), key+".upgrade_url",
			"an http or https URL is expected, or nothing")
	}
	l.must(len(c.Plans) > 0, "plans", "at least one plan is expected")
}

func (l *loader) checkWork(c *Config) {
	t := c.Tasks
	_, err := time.Parse("15:04", c.Reconcile.At)
	l.must(c.Reconcile.At == "" || err == nil, "reconcile.at", "a time of day is expected, 00:00 to 23:59, or nothing for never")
	l.must(t.Lease >= 2*t.Heartbeat, "tasks.lease",
		"at least twice tasks.heartbeat ("+formatDuration(t.Heartbeat)+") is expected, else one late heartbeat loses the task")
	l.must(t.BackoffMin <= t.BackoffMax, "tasks.backoff_min",
		"not more than tasks.backoff_max ("+formatDuration(t.BackoffMax)+") is allowed")
}
