package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
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
	var rows []row
	for _, path := range []string{
		"overview", "lanes", "assets/" + anAsset(c, db), "assets/" + anAsset(c, db) + "/history", "tasks/" + anAsset(c, db), "tenants/tenant%201", "reconcile/" + adminRun,
	} {
		rows = append(rows, timed(c, path, func() { _ = getAdmin(c, base+path) }))
	}
	for _, list := range adminLists {
		for _, query := range list.queries {
			for where, cursor := range cursorsOf(c, db, base, list, query) {
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

// serveAdmin serves the rows of operators to whoever asks.
func serveAdmin(c *console, db *meta.DB) string {
	desk, err := operator.NewDesk(db, make([]byte, 32)) // no operator logs in
	c.must(err)
	a := &api.API{
		Admin: admin.Admin{DB: db, CoolingOff: time.Hour}, Desk: desk, Timeout: time.Minute, Client: httpapi.Client, RequestID: httpapi.RequestID,
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
	c.must(httpapi.Mount(server.App(), httpapi.AdminRoutes(a), map[httpapi.Permission]httpapi.Guard{httpapi.Operator: letIn, httpapi.OperatorLogin: letIn}, nil))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	c.must(err)
	go func() { _ = server.Serve(l) }()
	c.Cleanup(func() { _ = server.Shutdown(context.Background()) })
	return "http://" + l.Addr().String() + "/api/admin/"
}
