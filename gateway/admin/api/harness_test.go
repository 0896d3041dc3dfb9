package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"gatehouse/e2e/contract"
	"gatehouse/gateway/admin"
	"gatehouse/gateway/admin/api"
	"gatehouse/gateway/auth"
	"gatehouse/gateway/auth/operator"
	"gatehouse/gateway/httpapi"
	"gatehouse/gateway/intake"
	"gatehouse/quota"
	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
)

// desk is the admin API on a socket, over a real database and store. Whoever calls is let in as By: who may call what is the
// guard's matter, and tested with it.
type desk struct {
	t   *testing.T
	DB  *meta.DB
	API *api.API
	By  *operator.Principal
	URL string
	// client holds every answer against the OpenAPI document.
	client *http.Client
}

func newDesk(t *testing.T, db *meta.DB) *desk {
	t.Helper()
	zones, err := blob.Open(t.Context(), blob.Config{Driver: blob.DriverDisk, Root: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, zones.Close()) })
	require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error {
		for name, bytes := range map[string]int64{"free": 1 << 20, "pro": 1 << 30} {
			if err := tx.Create(&meta.Plan{Name: name, StorageBytes: bytes, Spec: "{}", UpdatedAt: meta.Now()}); err != nil {
				return err
			}
		}
		return nil
	}))
	d := &desk{t: t, DB: db, client: &http.Client{Transport: contract.Validator(t)}, By: &operator.Principal{
		OperatorID: meta.NewID(), Name: "alex", Role: operator.Super, Stage: operator.StageFull, SessionID: meta.NewID(), SteppedUp: time.Now(),
	}}
	d.API = &api.API{
		Admin: admin.Admin{DB: db, Zones: zones, CoolingOff: 24 * time.Hour, Configured: configuredSettings}, Timeout: 30 * time.Second,
		Client: httpapi.Client, RequestID: httpapi.RequestID,
		Intake: &intake.Intake{
			DB: db, Zones: zones, Ledger: quota.Ledger{DB: db, TTL: time.Minute}, Log: slog.New(slog.DiscardHandler),
			Spool: intake.Spool{Dir: t.TempDir(), MemoryBytes: 1 << 20}, Refused: func(string, storage.Code) {},
		},
		TenantKeys: &auth.Keys{DB: db, Base: releasePolicy},
	}
	options := httpapi.DefaultOptions()
	options.Log, options.Metrics = slog.New(slog.NewTextHandler(io.Discard, nil)), prometheus.NewRegistry()
	server, err := httpapi.New(options)
	require.NoError(t, err)
	letIn := func(httpapi.Route) fiber.Handler {
		return func(c *fiber.Ctx) error {
			operator.Put(c, d.By)
			return c.Next()
		}
	}
	require.NoError(t, httpapi.Mount(server.App(), httpapi.AdminRoutes(d.API), map[httpapi.Permission]httpapi.Guard{
		httpapi.Operator: letIn, httpapi.OperatorLogin: letIn,
	}, httpapi.BoundUploads(4)))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	d.URL = "http://" + l.Addr().String() + "/api/admin/"
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, server.Shutdown(ctx))
		require.NoError(t, <-done)
	})
	return d
}

// do makes a call; body is sent as JSON unless it is nil. It gives the status and the whole answer.
func (d *desk) do(method, path string, body any) (int, []byte) {
	d.t.Helper()
	var r io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		require.NoError(d.t, err)
		r = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(d.t.Context(), method, d.URL+path, r)
	require.NoError(d.t, err)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := d.client.Do(req)
	require.NoError(d.t, err)
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(d.t, err)
	return resp.StatusCode, raw
}

// ok makes a call that must answer with the status, and reads its answer into out unless that is nil.
func (d *desk) ok(status int, method, path string, body, out any) {
	d.t.Helper()
	got, raw := d.do(method, path, body)
	require.Equal(d.t, status, got, "%s %s: %s", method, path, raw)
	if out != nil {
		require.NoError(d.t, json.Unmarshal(raw, out), "%s", raw)
	}
}

// refused makes a call that must be refused, and gives details.reason.
func (d *desk) refused(status int, method, path string, body any) string {
	d.t.Helper()
	var e struct{ Details struct{ Reason string } }
	d.ok(status, method, path, body, &e)
	return e.Details.Reason
}

// record is the data of the last audit record of an action.
func (d *desk) record(action string) map[string]any {
	d.t.Helper()
	list, err := d.DB.AuditLog(d.t.Context(), meta.AuditFilter{Action: action}, 1)
	require.NoError(d.t, err)
	require.Len(d.t, list, 1, "no record of %s", action)
	var data map[string]any
	require.NoError(d.t, json.Unmarshal([]byte(list[0].Data), &data))
	return data
}

type page[Item any] struct {
	Items      []Item  `json:"items"`
	NextCursor *string `json:"next_cursor"`
}
