package devices_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"gatehouse/e2e/contract"
	"gatehouse/gateway/assets"
	"gatehouse/gateway/auth"
	"gatehouse/gateway/httpapi"
	"gatehouse/gateway/release/devices"
	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// gateway is the device's part of the API on a socket, over a real database, with one tenant. Every answer is held against the
// OpenAPI document.
type gateway struct {
	t           *testing.T
	db          *meta.DB
	client      *http.Client
	url         string
	tenant, key string
}

func open(t *testing.T, db *meta.DB) *gateway { return openFor(t, db, 0) }

// openFor lets tenants have so many devices.
func openFor(t *testing.T, db *meta.DB, most int64) *gateway {
	t.Helper()
	g := &gateway{t: t, db: db, client: &http.Client{Transport: contract.Validator(t)}, tenant: metatest.Tenant(t, db, 1000)}
	g.key = g.newKey(g.tenant, auth.AllScopes)
	o := httpapi.DefaultOptions()
	o.Log, o.Metrics = slog.New(slog.NewTextHandler(io.Discard, nil)), prometheus.NewRegistry()
	server, err := httpapi.New(o)
	require.NoError(t, err)
	rows := httpapi.Routes(httpapi.Handlers{
		Assets: &assets.API{}, Health: &httpapi.Health{},
		Devices: &devices.API{DB: db, MaxDevices: most, Timeout: time.Minute, Client: httpapi.Client, RequestID: httpapi.RequestID},
	})
	require.NoError(t, httpapi.Mount(server.App(), rows, httpapi.Guards(&auth.Keys{DB: db}), httpapi.BoundUploads(1)))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	g.url = "http://" + l.Addr().String()
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, server.Shutdown(ctx))
		require.NoError(t, <-done)
	})
	return g
}

func (g *gateway) newKey(tenant, scopes string) string {
	g.t.Helper()
	key, hash := auth.NewKey()
	require.NoError(g.t, g.db.InTx(context.Background(), func(tx *meta.Tx) error {
		return tx.Create(&meta.APIKey{ID: meta.NewID(), TenantID: tenant, Name: "k", Hash: hash, Scopes: scopes, CreatedAt: meta.Now()})
	}))
	return key
}

type answer struct {
	status int
	header http.Header
	body   []byte
	Code   storage.Code
	// Details of a refusal.
	Details struct {
		Reason     string
		Limit      int64
		RetryAfter int64 `json:"retry_after"`
	}
}

// call sends a body as JSON, a string as it is.
func (g *gateway) call(method, path, bearer string, body any) answer {
	g.t.Helper()
	raw, isText := body.(string)
	if !isText && body != nil {
		b, err := json.Marshal(body)
		require.NoError(g.t, err)
		raw = string(b)
	}
	req, err := http.NewRequestWithContext(g.t.Context(), method, g.url+path, strings.NewReader(raw))
	require.NoError(g.t, err)
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	if raw != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := g.client.Do(req)
	require.NoError(g.t, err)
	defer func() { _ = resp.Body.Close() }()
	a := answer{status: resp.StatusCode, header: resp.Header}
	a.body, err = io.ReadAll(resp.Body)
	require.NoError(g.t, err)
	if a.status >= 400 {
		require.NoError(g.t, json.NewDecoder(bytes.NewReader(a.body)).Decode(&a), "%s", a.body)
	}
	return a
}

const tokens, heartbeats = "/api/v1/device-tokens", "/api/release/v1/heartbeats/"

func (g *gateway) mint(user, device string) devices.NewToken {
	g.t.Helper()
	a := g.call("POST", tokens, g.key, map[string]string{"user_id": user, "device_id": device})
	require.Equal(g.t, http.StatusCreated, a.status, "%s", a.body)
	var out devices.NewToken
	require.NoError(g.t, json.Unmarshal(a.body, &out))
	return out
}

func of(device string) map[string]any {
	return map[string]any{"device_id": device, "client_version": "v1.4.0+build.7", "platform": "win32", "arch": "x64", "os_version": "10.0.22631"}
}

func TestLifeOfADeviceToken(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		g := open(t, db)
		made := g.mint("u1", "d1")
		require.WithinDuration(t, time.Now().Add(7*24*time.Hour), made.ExpiresAt, time.Minute)
		a := g.call("POST", heartbeats, made.Token, of("d1"))
		require.Equal(t, http.StatusAccepted, a.status, "%s", a.body)
		require.Equal(t, http.StatusAccepted, g.call("POST", strings.TrimSuffix(heartbeats, "/"), made.Token, of("d1")).status, "without the slash too")

		// Whatever is wrong with a token, the answer is the same.
		second, foreign := g.mint("u1", "d2"), g.newKey(metatest.Tenant(t, db, 1000), auth.AllScopes)
		same := map[string]answer{
			"another device": g.call("POST", heartbeats, second.Token, of("d1")),
			"none":           g.call("POST", heartbeats, "", of("d1")),
			"an API key":     g.call("POST", heartbeats, g.key, of("d1")),
			"malformed":      g.call("POST", heartbeats, made.Token+"x", of("d1")),
			"unknown":        g.call("POST", heartbeats, strings.Repeat("x", 4)+made.Token[4:], of("d1")),
			"made up":        g.call("POST", heartbeats, made.Token[:len(made.Token)-4]+"AAAA", of("d1")),
		}
		require.Equal(t, http.StatusNoContent, g.call("DELETE", tokens+"/"+second.ID, foreign, nil).status)
		require.Equal(t, http.StatusAccepted, g.call("POST", heartbeats, second.Token, of("d2")).status, "another tenant revokes nothing")
		for range 2 {
			require.Equal(t, http.StatusNoContent, g.call("DELETE", tokens+"/"+second.ID, g.key, nil).status)
		}
		same["revoked"] = g.call("POST", heartbeats, second.Token, of("d2"))
		for why, a := range same {
			require.Equal(t, http.StatusUnauthorized, a.status, why)
			require.Equal(t, storage.CodeReleaseDeviceTokenInvalid, a.Code, why)
			require.Empty(t, a.Details, why)
			require.Equal(t, "Bearer", a.header.Get("WWW-Authenticate"))
		}
		require.Equal(t, http.StatusUnauthorized, g.call("GET", tokens, made.Token, nil).status, "a device token is no API key")

		var page devices.Page
		a = g.call("GET", tokens+"?limit=1", g.key, nil)
		require.NotContains(t, string(a.body), "ghd_")
		require.NoError(t, json.Unmarshal(a.body, &page))
		require.Equal(t, second.ID, page.Items[0].ID)
		require.NotNil(t, page.Items[0].RevokedAt)
		require.NoError(t, json.Unmarshal(g.call("GET", tokens+"?limit=1&cursor="+*page.NextCursor, g.key, nil).body, &page))
		require.Equal(t, made.ID, page.Items[0].ID)
		require.Nil(t, page.NextCursor)

		for _, n := range []int{1, 0} {
			a = g.call("DELETE", tokens+"?user_id=u1", g.key, nil)
			require.Equal(t, http.StatusOK, a.status, "%s", a.body)
			require.JSONEq(t, fmt.Sprintf(`{"revoked":%d}`, n), string(a.body))
		}
		require.Equal(t, http.StatusUnauthorized, g.call("POST", heartbeats, made.Token, of("d1")).status)
		records, err := db.AuditLog(t.Context(), meta.AuditFilter{TenantID: g.tenant}, 100)
		require.NoError(t, err)
		var actions []string
		for _, r := range records {
			actions = append(actions, r.Action+" "+r.Target)
			require.NotContains(t, r.Data, made.Token[8:])
		}
		require.ElementsMatch(t, []string{
			"device_token.create " + made.ID, "device_token.create " + second.ID, "device_token.revoke " + second.ID, "device_token.revoke ",
		}, actions)
	})
}

// Whoever has the devices of a city is shut out with one call and one record, while somebody else holds the tenant's row.
func TestRevokingManyTokens(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		g := open(t, db)
		const many = 3000
		require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error {
			var rows []meta.DeviceToken
			for i := range many {
				rows = append(rows, meta.DeviceToken{
					ID: meta.NewID(), TenantID: g.tenant, UserID: "bob", DeviceID: fmt.Sprint("d", i), Hash: fmt.Sprintf("%064x", i),
					CreatedAt: meta.Now(), ExpiresAt: meta.Now().Add(time.Hour),
				})
			}
			return tx.Create(&rows)
		}))
		kept := g.mint("alice", "d1")
		revoke := func() {
			a := g.call("DELETE", tokens+"?user_id=bob", g.key, nil)
			require.JSONEq(t, fmt.Sprintf(`{"revoked":%d}`, many), string(a.body))
		}
		if db.Dialect() == meta.SQLite { // which has one writer
			revoke()
		} else {
			require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error {
				_, err := tx.LockTenant(g.tenant)
				revoke()
				return err
			}))
		}
		records, err := db.AuditLog(t.Context(), meta.AuditFilter{Action: "device_token.revoke"}, 10)
		require.NoError(t, err)
		require.Len(t, records, 1)
		require.JSONEq(t, fmt.Sprintf(`{"user_id":"bob","revoked":%d}`, many), records[0].Data)
		require.Equal(t, http.StatusAccepted, g.call("POST", heartbeats, kept.Token, of("d1")).status)
	})
}

func TestHeartbeatsOverTheRate(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		g := open(t, db)
		made := g.mint("u1", "d1")
		require.Equal(t, http.StatusAccepted, g.call("POST", heartbeats, made.Token, of("d1")).status)
		_, err := db.Exec(t.Context(), `UPDATE release_devices SET rate_minute = rate_minute + 3, rate_count = 12`)
		require.NoError(t, err)
		a := g.call("POST", heartbeats, made.Token, of("d1"))
		require.Equal(t, http.StatusTooManyRequests, a.status, "%s", a.body)
		require.Equal(t, storage.CodeReleaseRateLimited, a.Code)
		require.EqualValues(t, 12, a.Details.Limit)
		require.Positive(t, a.Details.RetryAfter)
		require.NotEmpty(t, a.header.Get("Retry-After"))
	})
}

func TestTenantWithAllItsDevices(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		g := openFor(t, db, 2)
		first, second := g.mint("u1", "d1"), g.mint("u1", "d2")
		g.mint("u1", "d1") // as often as it likes
		mint := func(device string) answer {
			return g.call("POST", tokens, g.key, map[string]string{"user_id": "u1", "device_id": device})
		}
		full := func(a answer) {
			t.Helper()
			require.Equal(t, http.StatusForbidden, a.status, "%s", a.body)
			require.Equal(t, storage.CodeReleasePermissionDenied, a.Code)
			require.Equal(t, "devices_full", a.Details.Reason)
		}
		full(mint("d3"))
		require.Equal(t, http.StatusOK, g.call("DELETE", tokens+"?device_id=d2", g.key, nil).status)
		full(mint("d3"))
		g.mint("u1", "d2")
		for _, token := range []devices.NewToken{first, first} {
			require.Equal(t, http.StatusAccepted, g.call("POST", heartbeats, token.Token, of("d1")).status)
		}
		_, err := db.Exec(t.Context(), `DELETE FROM device_tokens WHERE id = ?`, second.ID)
		require.NoError(t, err)
		_, err = db.Exec(t.Context(), `UPDATE release_devices SET device_id = 'old'`)
		require.NoError(t, err)
		d2 := g.mint("u1", "d2")
		require.Equal(t, http.StatusAccepted, g.call("POST", heartbeats, d2.Token, of("d2")).status)
		full(g.call("POST", heartbeats, first.Token, of("d1")))
		require.Equal(t, http.StatusAccepted, g.call("POST", heartbeats, d2.Token, of("d2")).status, "what is known stays")

		other := *g // of another tenant
		other.tenant = metatest.Tenant(t, db, 1000)
		other.key = g.newKey(other.tenant, auth.AllScopes)
		d3 := other.mint("u1", "d3")
		require.Equal(t, http.StatusAccepted, g.call("POST", heartbeats, d3.Token, of("d3")).status)
	})
}

func TestTenantThatIsSuspended(t *testing.T) {
	g := open(t, metatest.SQLite(t))
	made := g.mint("u1", "d1")
	for state, reason := range map[storage.TenantState]string{
		storage.TenantSuspended: "tenant_suspended", storage.TenantPendingDelete: "tenant_pending_delete",
	} {
		_, err := g.db.Exec(t.Context(), `UPDATE tenants SET state = ?`, state)
		require.NoError(t, err)
		a := g.call("POST", heartbeats, made.Token, of("d1"))
		require.Equal(t, http.StatusForbidden, a.status, "%s", a.body)
		require.Equal(t, storage.CodeReleasePermissionDenied, a.Code)
		require.Equal(t, reason, a.Details.Reason)
		a = g.call("POST", tokens, g.key, map[string]string{"user_id": "u1", "device_id": "d2"})
		require.Equal(t, storage.CodeTenantSuspended, a.Code, "%s", a.body)
	}
	_, err := g.db.Exec(t.Context(), `UPDATE tenants SET state = 'suspended'`)
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, g.call("DELETE", tokens+"/"+made.ID, g.key, nil).status, "what is taken back may be taken back")
}

func TestHeartbeatsThatAreWrong(t *testing.T) {
	g := open(t, metatest.SQLite(t))
	made := g.mint("u1", "d1")
	for field, values := range map[string][]any{
		"device_id":      {"", "a b", "é", strings.Repeat("d", 129)},
		"client_version": {"", "1.4", "latest", "1.4.0.0", strings.Repeat("1", 300)},
		"platform":       {"", "windows", "Win32"},
		"arch":           {"", "amd64", "ia32"},
		"os_version":     {"", "a\nb", "a\u0000b", strings.Repeat("o", 65)},
		"channel":        {"", "Beta", "1st", strings.Repeat("c", 33)},
	} {
		for _, v := range values {
			body := of("d1")
			body[field] = v
			a := g.call("POST", heartbeats, made.Token, body)
			require.Equal(t, http.StatusBadRequest, a.status, "%s %v", field, v)
			require.Equal(t, storage.CodeReleaseHeartbeatInvalid, a.Code, "%s %v", field, v)
			require.Equal(t, field, a.Details.Reason, "%v", v)
		}
	}
	for _, body := range []string{`{"device_id":1}`, `{"who":"me"}`, `[]`, `{}{}`, `{"os_version":"` + strings.Repeat("x", 5000) + `"}`} {
		a := g.call("POST", heartbeats, made.Token, body)
		require.Equal(t, http.StatusBadRequest, a.status, body)
		require.Equal(t, storage.CodeMalformedRequest, a.Code, body)
		require.NotEmpty(t, a.Details.Reason, body)
	}
	for _, bad := range []map[string]string{
		{"user_id": "", "device_id": "d"}, {"user_id": strings.Repeat("u", 191), "device_id": "d"}, {"user_id": "a\u0000", "device_id": "d"},
		{"user_id": "bob ", "device_id": "d"}, {"user_id": " bob", "device_id": "d"}, {"user_id": "bob\u00a0", "device_id": "d"}, {"user_id": "b\nob", "device_id": "d"},
		{"user_id": "u", "device_id": ""}, {"user_id": "u", "device_id": "d d"},
	} {
		require.Equal(t, http.StatusBadRequest, g.call("POST", tokens, g.key, bad).status, bad)
	}
	require.Equal(t, "user_id", g.call("DELETE", tokens+"?user_id=bob%20", g.key, nil).Details.Reason)
	require.Equal(t, "revoke_what", g.call("DELETE", tokens, g.key, nil).Details.Reason)
	require.Equal(t, http.StatusBadRequest, g.call("GET", tokens+"?cursor=x", g.key, nil).status)
	require.Equal(t, http.StatusBadRequest, g.call("GET", tokens+"?limit=201", g.key, nil).status)
	readOnly := g.newKey(g.tenant, "read")
	require.Equal(t, http.StatusForbidden, g.call("POST", tokens, readOnly, map[string]string{"user_id": "u", "device_id": "d"}).status)
	require.Equal(t, http.StatusOK, g.call("GET", tokens, readOnly, nil).status)
}

// A token that somebody takes for a user's id must not lie in the log for ever.
func TestAuditLogMasksDeviceTokens(t *testing.T) {
	g := open(t, metatest.SQLite(t))
	made := g.mint("u1", "d1")
	g.mint(made.Token, "d2")
	records, err := g.db.AuditLog(t.Context(), meta.AuditFilter{Action: "device_token.create"}, 1)
	require.NoError(t, err)
	require.Len(t, records, 1)
	require.Contains(t, records[0].Data, "ghd_***")
	require.NotContains(t, records[0].Data, made.Token[8:])
}
