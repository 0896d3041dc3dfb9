package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"

	"gatehouse/e2e/services"
	"gatehouse/gateway/admin"
	"gatehouse/gateway/admin/api"
	"gatehouse/gateway/auth/operator"
	"gatehouse/gateway/httpapi"
	"gatehouse/storage/meta"
)

// What the admin API must be fast with.
const (
	adminTenants = 5_000
	adminAssets  = 1_000_000
	adminRecords = 2_000_000
	adminMost    = 200 * time.Millisecond
	adminAsks    = 20
)

// adminList is a list to measure: the queries that are asked of it, and how its cursor is made of an item near the end.
type adminList struct {
	path    string
	queries []string
}

// adminLists is THE list of what is measured, beside the overview. Every list is asked for its first page, one in the middle
// and the last one.
var adminLists = []adminList{
	{"tenants", []string{
		"", "sort=created", "sort=used", "sort=last_upload", "state=active", "state=failed", "plan=bench", "q=nt%204", "q=nobody",
		"over_percent=90", "over_percent=999", "state=active&plan=bench&sort=used",
	}},
	{"tenants/tenant%2042/events", []string{"", "action=asset", "result=refused", "action=key.revoke"}},
	{"tenants/tenant%201/export", []string{""}},
	{"tenants/tenant%201/keys", []string{""}},
	{"audit", []string{
		"", "actor_kind=operator", "actor_kind=key", "actor_kind=stranger", "actor=" + adminOperator, "actor=nobody", "role=super", "role=nothing",
		"action=asset", "action=asset.upload", "action=tenant", "action=tenant.suspend", "action=nothing", "target=target42", "target=nothing",
		"tenant=tenant%2042", "tenant=tenant%201", "result=ok", "result=refused", "result=failed", "code=TYPE_MISMATCH", "code=NOTHING",
		"address=10.0.0.7", "address=nowhere", "request_id=r4242", "request_id=nothing", "q=10.0.0.7", "q=nothing", "q=tenant.suspend",
		"since=2026-01-10T00:00:00Z", "until=2026-01-05T00:00:00Z", "since=2026-01-10T00:00:00Z&until=2026-01-10T01:00:00Z",
		"since=2030-01-01T00:00:00Z", "tenant=tenant%201&action=asset.upload", "tenant=tenant%201&action=key.revoke", "tenant=tenant%201&result=refused",
		"tenant=tenant%201&result=failed", "action=asset.upload&result=refused", "action=asset.upload&code=NOTHING", "action=asset&result=failed",
		"actor_kind=operator&action=tenant", "actor_kind=worker&action=asset.delete", "actor=" + adminOperator + "&action=tenant.suspend",
		"actor=" + adminOperator + "&tenant=tenant%2042", "address=10.0.0.7&result=refused", "role=super&action=tenant.suspend",
		"action=scan.verdict&since=2026-01-10T00:00:00Z&until=2026-01-10T01:00:00Z", "tenant=tenant%201&since=2026-01-15T00:00:00Z",
	}},
}

const adminOperator = "0190c0de-0000-7000-9000-000000000001"

// benchAdmin asks the admin API over HTTP for lists of many tenants, assets and audit records in PostgreSQL.
func benchAdmin(c *console) []row {
	ctx := context.Background()
	db, err := meta.Open(ctx, meta.Config{URL: services.PostgresDSN(c), MaxOpenConns: 8, MaxIdleConns: 8, ConnMaxLifetime: time.Hour})
	c.must(err)
	c.Cleanup(func() { _ = db.Close() })
	c.must(db.Migrate(ctx))
	began := time.Now()
	fillAdmin(c, db)
	c.Logf("bench: rows made in %s", time.Since(began).Round(time.Second))
	base := serveAdmin(c, db)
	rows := []row{timed(c, "overview", func() { _ = getAdmin(c, base+"overview") })}
	for _, list := range adminLists {
		for _, query := range list.queries {
			for where, cursor := range cursorsOf(c, base+list.path, query) {
				address := base + list.path + "?" + query + cursor
				rows = append(rows, timed(c, strings.TrimSuffix(list.path+"?"+query, "?")+", "+where, func() { _ = getAdmin(c, address) }))
			}
		}
	}
	slices.SortStableFunc(rows, func(a, b row) int { return strings.Compare(a.what, b.what) })
	return rows
}

// timed asks some times and tells the median and the 95th percentile.
func timed(c *console, what string, ask func()) row {
	ask() // connections and caches
	n := max(5, int(adminAsks*min(c.share, 1)))
	took := make([]time.Duration, n)
	for i := range took {
		began := time.Now()
		ask()
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	p95 := took[min(n-1, n*95/100)]
	aim := "p95 < 200 ms"
	if p95 >= adminMost {
		aim += ", missed"
	}
	ms := func(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }
	c.Logf("bench: %s: p95 %s", what, ms(p95))
	return row{what: what, measured: "p50 " + ms(took[n/2]) + ", p95 " + ms(p95), reference: "-", aim: aim}
}

type adminPage struct {
	Items      []json.RawMessage `json:"items"`
	NextCursor *string           `json:"next_cursor"`
}

func getAdmin(c *console, address string) adminPage {
	resp, err := http.Get(address) //nolint:noctx // a benchmark on this machine
	c.must(err)
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	c.must(err)
	if resp.StatusCode != http.StatusOK {
		c.Fatalf("%s: %d %s", address, resp.StatusCode, raw)
	}
	var p adminPage
	c.must(json.Unmarshal(raw, &p))
	return p
}

// cursorsOf finds where a list begins, its middle and its last page are: by leaps through the whole list where it is short, and
// through the whole of it as CSV where it is not.
func cursorsOf(c *console, list, query string) map[string]string {
	out := map[string]string{"first page": ""}
	var all []string
	cursor := ""
	for len(all) < maxLeaps {
		p := getAdmin(c, list+"?limit=200&"+query+cursor)
		if p.NextCursor == nil {
			break
		}
		cursor = "&cursor=" + url.QueryEscape(*p.NextCursor)
		all = append(all, cursor)
	}
	if len(all) == maxLeaps { // a list of audit records: its key is the record's number
		middle, last := numberCursor(adminRecords/2), numberCursor(2000)
		out["middle page"], out["last page"] = middle, last
		return out
	}
	if len(all) > 0 {
		out["middle page"], out["last page"] = all[len(all)/2], all[len(all)-1]
	}
	return out
}

// maxLeaps is how many pages of 200 are turned to find the end of a list.
const maxLeaps = 30

// serveAdmin serves the rows of operators to whoever asks.
func serveAdmin(c *console, db *meta.DB) string {
	a := &api.API{
		Admin: admin.Admin{DB: db, CoolingOff: time.Hour}, Timeout: time.Minute, Client: httpapi.Client, RequestID: httpapi.RequestID,
	}
	options := httpapi.DefaultOptions()
	options.Log, options.Metrics = slog.New(slog.NewTextHandler(io.Discard, nil)), prometheus.NewRegistry()
	server, err := httpapi.New(options)
	c.must(err)
	who := &operator.Principal{OperatorID: adminOperator, Role: operator.Super, Stage: operator.StageFull}
	letIn := func(httpapi.Route) fiber.Handler {
		return func(f *fiber.Ctx) error {
			operator.Put(f, who)
			return f.Next()
		}
	}
	c.must(httpapi.Mount(server.App(), httpapi.AdminRoutes(a), map[httpapi.Permission]httpapi.Guard{httpapi.Operator: letIn}, nil))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	c.must(err)
	go func() { _ = server.Serve(l) }()
	c.Cleanup(func() { _ = server.Shutdown(context.Background()) })
	return "http://" + l.Addr().String() + "/api/admin/"
}
