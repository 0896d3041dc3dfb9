package configs

import (
	"math"
	"net"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// slug is the form of names that become part of URLs, object keys and variables.
var slug = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)

const slugRule = "1 to 32 of a-z, 0-9 and - (not first or last)"

// span is what a number may be, ends included; in bytes, nanoseconds or as it is.
type span struct{ lo, hi int64 }

const (
	ms      = int64(time.Millisecond)
	sec     = int64(time.Second)
	day     = 24 * 3600 * sec
	century = 36500 * day
)

// spans has a row for every numeric key; a test holds it complete. They say what is impossible, not what is wise.
var spans = map[string]span{
	"http.header_timeout":              {ms, day},
	"http.idle_timeout":                {ms, day},
	"http.request_timeout":             {ms, day},
	"http.min_upload_bytes_per_second": {1, 1 << 40},
	"http.upload_grace":                {ms, day},
	"http.max_uploads":                 {1, 1 << 20},
	"http.max_event_streams":           {1, 1 << 20},
	"http.linger_timeout":              {ms, 3600 * sec},
	"http.linger_bytes":                {0, 1 << 40},
	"http.shutdown_timeout":            {ms, day},
	"database.max_open_conns":          {1, 10_000},
	"database.max_idle_conns":          {0, 10_000},
	"database.conn_max_lifetime":       {0, century},
	"database.busy_timeout":            {ms, 3600 * sec},
	"store.s3.timeout":                 {ms, day},
	"store.s3.retries":                 {0, 100},
	"broker.publish_timeout":           {ms, 3600 * sec},
	"scanner.timeout":                  {ms, day},
	// clamd's engine cannot scan files of 2 GB (clamd.conf(5), MaxFileSize).
	"scanner.max_file_bytes": {1, math.MaxInt32 - 1},
	"scanner.ready_interval": {ms, day},
	// Below 4 KiB the head rules would not see what they look at.
	"intake.memory_bytes":                  {4 << 10, 1 << 30},
	"intake.spool_min_free":                {0, 1 << 50},
	"intake.max_name_bytes":                {1, 255},
	"intake.max_pixels":                    {1, 1 << 40},
	"intake.max_dimension":                 {1, 1 << 20},
	"intake.max_frames":                    {1, 1 << 20},
	"intake.max_zip_members":               {1, 1 << 20},
	"intake.max_zip_unpacked_bytes":        {1, 1 << 40},
	"intake.max_release_unpacked_bytes":    {1, 1 << 40},
	"intake.max_zip_ratio":                 {1, 1 << 20},
	"intake.max_pdf_inflate_bytes":         {1, 1 << 40},
	"categories.*.max_bytes":               {1, 1 << 50},
	"plans.*.storage_bytes":                {1, 1 << 60},
	"plans.*.max_bytes.*":                  {1, 1 << 50},
	"plans.*.max_files":                    {0, 1 << 40},
	"plans.*.uploads_per_minute":           {0, 1 << 40},
	"plans.*.concurrent_uploads":           {0, 1 << 40},
	"plans.*.retention_days":               {0, 36500},
	"plans.*.max_video_height":             {0, 4320},
	"quota.reservation_ttl":                {sec, century},
	"tenants.cooling_off":                  {0, century},
	"releases.max_devices_per_tenant":      {0, 1 << 40},
	"images.quality":                       {1, 100},
	"images.effort":                        {0, 6},
	"images.max_pixels":                    {1, 1 << 40},
	"images.memory_bytes":                  {256 << 20, 1 << 40},
	"images.timeout":                       {ms, day},
	"videos.poster_long_edge":              {16, 1920},
	"videos.max_duration":                  {sec, 30 * day},
	"videos.max_pixels":                    {1, 1 << 30},
	"videos.max_streams":                   {1, 100},
	"videos.max_bits_per_second":           {1, 1 << 40},
	"videos.max_output_bytes":              {1 << 20, 1 << 50},
	"videos.memory_bytes":                  {256 << 20, 1 << 40},
	"videos.timeout":                       {sec, 30 * day},
	"videos.cpu_time":                      {sec, 30 * day},
	"videos.threads":                       {0, 1024},
	"tasks.lease":                          {ms, day},
	"tasks.heartbeat":                      {ms, day},
	"tasks.poll_interval":                  {ms, day},
	"tasks.max_attempts":                   {1, 1000},
	"tasks.backoff_min":                    {ms, day},
	"tasks.backoff_max":                    {ms, 30 * day},
	"tasks.lanes.scan.concurrency":         {1, 1024},
	"tasks.lanes.image.concurrency":        {1, 1024},
	"tasks.lanes.video.concurrency":        {1, 1024},
	"tasks.lanes.housekeeping.concurrency": {1, 1024},
	"retention.orphan_grace":               {ms, century},
	"retention.deleted_grace":              {0, century},
	"retention.infected":                   {0, century},
	"retention.task_history":               {0, century},
	"retention.idempotency_ttl":            {ms, century},
	"retention.event_history":              {ms, century},
	"reconcile.light_every":                {sec, century},
	"reconcile.brake_min":                  {1, 1 << 40},
	"reconcile.brake_share":                {1, 10_000},
	"reconcile.brake_tenant_min":           {1, 1 << 40},
	"reconcile.brake_tenant_share":         {1, 10_000},
	"reconcile.trash":                      {ms, century},
	"reconcile.history":                    {day, century},
	"reconcile.digest_days":                {1, 3650},
	"reconcile.digest_bytes_per_night":     {0, 1 << 60},
	"reconcile.digest_rate":                {1 << 10, 1 << 40},
	"alerts.interval":                      {sec, 3600 * sec},
	"alerts.repeat":                        {60 * sec, century},
	"alerts.history":                       {day, century},
	"alerts.infected_for":                  {60 * sec, century},
	"alerts.refusals":                      {1, 1 << 40},
	"alerts.refusals_window":               {60 * sec, day},
	"alerts.scanner_unready":               {0, day},
	"alerts.signatures_max_age":            {day, century},
	"alerts.disk_warning_percent":          {1, 101},
	"alerts.disk_critical_percent":         {1, 101},
	"alerts.database_max_bytes":            {0, 1 << 60},
	"audit.online":                         {0, century},
	"audit.tell_every":                     {0, century},
	"alerts.snapshot_max_age":              {60 * sec, century},
	"alerts.reconcile_max_age":             {60 * sec, century},
	"alerts.operators_for":                 {3600 * sec, 7 * day},
	"alerts.failed_logins":                 {2, 1000},
	"alerts.failed_logins_window":          {60 * sec, day},
	"alerts.failures_before_login":         {1, 100},
	"alerts.queries_per_hour":              {1, 100000},
	"alerts.max_wait.scan":                 {sec, century},
	"alerts.max_wait.image":                {sec, century},
	"alerts.max_wait.video":                {sec, century},
	"alerts.max_wait.housekeeping":         {sec, century},
	"snapshots.keep_daily":                 {1, 36500},
	"snapshots.keep_monthly":               {0, 1200},
	"auth.link_max_age":                    {sec, century},
}

// describe writes a span in the unit of the key.
func (s span) describe(t reflect.Type) string {
	one := func(n int64) string {
		v := reflect.New(t).Elem()
		v.SetInt(n)
		return text(v)
	}
	return one(s.lo) + " to " + one(s.hi) + " is allowed"
}

// check reports every impossible value. A key that already has a problem keeps that one.
func (l *loader) check(program Program) {
	c := l.cfg
	l.checkNumbers()
	l.checkHTTP(c)
	l.checkServices(c)
	l.checkCategories(c)
	l.checkPlans(c)
	l.checkMedia(c)
	l.checkWork(c)
	l.checkAlerts(c)
	l.checkAudit(c)
	l.must(program != ForGateway || c.Embedded() || c.Auth.LinkSecret != "", "auth.link_secret",
		"must be set when the database is not SQLite, the same for every gateway")
	l.must(c.Auth.LinkSecret == "" || len(c.Auth.LinkSecret) >= minLinkSecret, "auth.link_secret",
		"32 bytes or more are expected, as from: openssl rand -hex 32")
	l.must(program != ForGateway || c.Embedded() || c.Auth.OperatorKey != "", "auth.operator_key",
		"must be set when the database is not SQLite, the same for every gateway")
	_, err := decodeKey(c.Auth.OperatorKey.Reveal())
	l.must(c.Auth.OperatorKey == "" || err == nil, "auth.operator_key", "32 bytes as hex or Base64 are expected, as from: openssl rand -hex 32")
}

// must reports a key, with its value and origin, unless ok.
func (l *loader) must(ok bool, key, allowed string) {
	if ok || slices.ContainsFunc(l.problems, func(p Problem) bool { return p.Key == key }) {
		return
	}
	p := Problem{Key: key, Origin: l.cfg.origins[key], Allowed: allowed}
	v := reflect.ValueOf(l.cfg).Elem()
	for _, part := range strings.Split(key, ".") {
		v, _ = child(v, part)
	}
	if !isBranch(v.Type()) {
		p.Value = text(v)
	}
	l.problem(p)
}

func (l *loader) checkNumbers() {
	for _, at := range leaves(l.cfg, false) {
		if s, ok := spans[at.pattern()]; ok {
			n := at.value.Int()
			l.must(s.lo <= n && n <= s.hi, at.name(), s.describe(at.value.Type()))
		}
	}
}

func (l *loader) oneOf(key, value string, allowed ...string) {
	l.must(slices.Contains(allowed, value), key, "allowed are "+strings.Join(allowed, ", "))
}

// addr checks host:port to listen on; the host may be empty, port 0 takes a free one.
func (l *loader) addr(key, value string) {
	_, port, err := net.SplitHostPort(value)
	_, perr := strconv.ParseUint(port, 10, 16)
	l.must(err == nil && perr == nil, key, "an address like :8080 or 127.0.0.1:8080 is expected")
}

// hostName is a name of letters, digits and hyphens (RFC 1123, section 2.1), or an IPv4 address.
var hostName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)

func isWebURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil
}

func (l *loader) checkHTTP(c *Config) {
	l.must(c.DataDir != "", "data_dir", "a folder is expected")
	l.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	l.oneOf("log.format", c.Log.Format, "text", "json")
	l.addr("http.addr", c.HTTP.Addr)
	public := c.HTTP.PublicURL
	l.must(public == "" || isWebURL(public) && !strings.ContainsAny(public, "?#"), "http.public_url",
		"an http or https URL without query is expected, or nothing")
	l.must(c.HTTP.AdminHost == "" || hostName.MatchString(c.HTTP.AdminHost), "http.admin_host",
		"a host name without port is expected, like admin.example.com, or nothing")
	if c.Metrics.Addr != "" {
		l.addr("metrics.addr", c.Metrics.Addr)
	}
	if c.Worker.HTTPAddr != "" {
		l.addr("worker.http_addr", c.Worker.HTTPAddr)
	}
}
