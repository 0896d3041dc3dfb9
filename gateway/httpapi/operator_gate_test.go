package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/pquerna/otp/totp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"gatehouse/gateway/admin"
	"gatehouse/gateway/admin/api"
	"gatehouse/gateway/auth"
	"gatehouse/gateway/auth/operator"
	"gatehouse/storage/audit"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
)

// gate is one gateway with the calls of operators behind their real guard, on a socket.
type gate struct {
	t    *testing.T
	db   *meta.DB
	desk *operator.Desk
	rows []Route
	url  string
}

// operatorKey seals the second factors of all gates of a test.
var operatorKey = bytes.Repeat([]byte("k"), 32)

func openGate(t *testing.T, db *meta.DB, change func(*Options, *Operators)) *gate {
	t.Helper()
	zones, err := blob.Open(t.Context(), blob.Config{Driver: blob.DriverDisk, Root: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, zones.Close()) })
	g := &gate{t: t, db: db}
	g.desk, err = operator.NewDesk(db, operatorKey)
	require.NoError(t, err)
	g.rows = AdminRoutes(&api.API{
		Admin: admin.Admin{DB: db, Zones: zones, CoolingOff: time.Hour}, Desk: g.desk, Timeout: time.Minute, Client: Client, RequestID: RequestID,
	})
	o, ops := DefaultOptions(), Operators{Desk: g.desk, DB: db}
	o.Log, o.Metrics = slog.New(slog.NewTextHandler(io.Discard, nil)), prometheus.NewRegistry()
	if change != nil {
		change(&o, &ops)
	}
	server, err := New(o)
	require.NoError(t, err)
	guards := Guards(&auth.Keys{DB: db})
	maps.Copy(guards, OperatorGuards(ops))
	everybody := Route{Method: http.MethodGet, Path: "/healthz", Permission: Public, Handler: func(c *fiber.Ctx) error { return c.SendString("ok") }}
	require.NoError(t, Mount(server.App(), append(slices.Clone(g.rows), everybody), guards, BoundUploads(4)))
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

// person is an operator with what they know and have.
type person struct {
	id, name, password, secret string
	recovery                   []string
	ticket                     operator.Ticket
	step                       int64
}

// caller is where the people of these tests sit.
var caller = operator.Caller{Address: netip.MustParseAddr("127.0.0.1"), UserAgent: "test"}

// code is the next code that was not used yet: three can be had at once.
func (p *person) code(t *testing.T) string {
	t.Helper()
	p.step = max(p.step+1, time.Now().Unix()/30-1)
	code, err := totp.GenerateCode(p.secret, time.Unix(p.step*30, 0))
	require.NoError(t, err)
	return code
}

// hire makes an operator who has a password, a second factor and a session.
func (g *gate) hire(name string, role operator.Role) *person {
	g.t.Helper()
	ctx := context.Background()
	made, link, err := g.desk.CreateOperator(ctx, audit.CLI, "", name, role)
	require.NoError(g.t, err)
	p := &person{id: made.ID, name: name, password: "Kestrel-47-lantern"}
	p.ticket, err = g.desk.SetUp(ctx, caller, link, p.password)
	require.NoError(g.t, err)
	e, err := g.desk.BeginTOTP(ctx, caller, &p.ticket.Principal)
	require.NoError(g.t, err)
	p.secret = e.Secret
	p.ticket, p.recovery, err = g.desk.ConfirmTOTP(ctx, caller, &p.ticket.Principal, p.code(g.t))
	require.NoError(g.t, err)
	return p
}

// call is a request in the making.
type call struct {
	method, path string
	body         string
	header       map[string]string
}

// of gives a call the session of a ticket, as a page of the gateway would send it.
func (g *gate) of(t operator.Ticket, c call) call {
	c.header = maps.Clone(c.header)
	if c.header == nil {
		c.header = map[string]string{}
	}
	for k, v := range map[string]string{"Cookie": operator.Cookie + "=" + t.Token, HeaderCSRF: t.CSRF, "Origin": g.url} {
		if _, given := c.header[k]; !given {
			c.header[k] = v
		}
	}
	return c
}

func (g *gate) send(c call) reply {
	g.t.Helper()
	var body io.Reader
	if c.body != "" {
		body = strings.NewReader(c.body)
	}
	req, err := http.NewRequest(c.method, g.url+c.path, body)
	require.NoError(g.t, err)
	if c.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for k, v := range c.header {
		if k == "Host" {
			req.Host = v
			continue
		}
		if v != "" {
			req.Header.Set(k, v)
		}
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(g.t, err)
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(g.t, err)
	return reply{resp.StatusCode, resp.Header, string(raw)}
}

// raw sends bytes and gives back everything that comes.
func (g *gate) raw(request string) string {
	g.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.url, "http://"))
	require.NoError(g.t, err)
	defer func() { _ = conn.Close() }()
	_, err = conn.Write([]byte(request))
	require.NoError(g.t, err)
	answer, err := io.ReadAll(conn)
	require.NoError(g.t, err)
	return string(answer)
}

// reasonOf is the reason of an answer; empty of one that is none.
func reasonOf(r reply) string {
	var e struct{ Details struct{ Reason string } }
	if r.status < 400 || json.Unmarshal([]byte(r.body), &e) != nil {
		return ""
	}
	return e.Details.Reason
}

// guardReasons are what only the guard says.
func guardReasons() []string {
	out := []string{"session_missing", "session_ended", "origin", "csrf", "role", "step_up", "step_up_person", "address_not_allowed"}
	for _, r := range stageReasons {
		out = append(out, r.Slug)
	}
	return out
}

// requireThrough checks that the guard let a call through, whatever its handler made of it.
func requireThrough(t *testing.T, r reply, about string) {
	t.Helper()
	require.False(t, slices.Contains(guardReasons(), reasonOf(r)), "%s: %d %s", about, r.status, r.body)
	require.NotEqual(t, 500, r.status, "%s: %s", about, r.body)
}
