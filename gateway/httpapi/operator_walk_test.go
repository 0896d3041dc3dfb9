package httpapi

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/gateway/auth"
	"gatehouse/gateway/auth/operator"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// callOf makes the call of a row about things that do not exist.
func callOf(r Route) call {
	path := r.Path
	for part := range strings.SplitSeq(r.Path, "/") {
		if strings.HasPrefix(part, ":") {
			path = strings.Replace(path, part, meta.NewID(), 1)
		}
	}
	c := call{method: r.Method, path: path}
	if r.Method != http.MethodGet {
		c.body = "{}"
	}
	return c
}

// TestEveryRowAsksForItsRole walks the whole table: nobody, a tenant's key, an expired session, each role with and without a
// fresh second factor, each role's token, and each stage of the login.
func TestEveryRowAsksForItsRole(t *testing.T) {
	g := openGate(t, metatest.SQLite(t), nil)
	tenantKey, hash := auth.NewKey()
	tenant := metatest.Tenant(t, g.db, 1<<20)
	g.inTx(func(tx *meta.Tx) error {
		return tx.Create(&meta.APIKey{ID: meta.NewID(), TenantID: tenant, Name: "k", Hash: hash, Scopes: auth.AllScopes, CreatedAt: meta.Now()})
	})
	people, tokens := map[operator.Role]*person{}, map[operator.Role]string{}
	for _, role := range operator.Roles {
		people[role] = g.hire("walker-"+string(role), role)
	}
	for _, role := range operator.Roles {
		tokens[role] = g.token(people[operator.Super], role)
	}
	for _, row := range g.rows {
		if row.Permission != Operator {
			continue
		}
		name := row.Method + " " + row.Path
		t.Run(name, func(t *testing.T) {
			c := callOf(row)
			g.denied(t, g.send(c), 401, "session_missing")
			c.header = map[string]string{"Authorization": "Bearer " + tenantKey}
			require.Equal(t, 401, g.send(c).status, "a tenant's key")
			c.header = nil
			old := g.session(people[operator.Super], operator.StageFull, time.Now())
			g.age(old, 31*time.Minute)
			g.denied(t, g.send(g.of(old, c)), 401, "session_ended")

			for _, role := range operator.Roles {
				g.walkRole(t, row, people[role], tokens[role])
			}
			for _, stage := range operator.Stages {
				answer := g.send(g.of(g.session(people[operator.Super], stage, time.Now()), c))
				if slices.Contains(row.stages(), stage) {
					requireThrough(t, answer, string(stage))
					continue
				}
				require.Equal(t, stageReasons[stage].Slug, reasonOf(answer), "stage %s", stage)
			}
		})
	}
}

// walkRole calls a row in one role, with a session and with a token.
func (g *gate) walkRole(t *testing.T, row Route, p *person, token string) {
	t.Helper()
	c, role := callOf(row), p.ticket.Principal.Role
	stage := row.stages()[0]
	stale := g.send(g.of(g.session(p, stage, time.Now().Add(-operator.StepUpAge-time.Minute)), c))
	never := g.send(g.of(g.session(p, stage, time.Time{}), c))
	fresh := g.send(g.of(g.session(p, stage, time.Now()), c))
	c.header = map[string]string{"Authorization": "Bearer " + token}
	byToken := g.send(c)
	about := fmt.Sprintf("%s as %s", row.Path, role)
	if !role.Covers(row.Role) {
		for _, answer := range []reply{stale, never, fresh} {
			g.denied(t, answer, 403, "role")
		}
		require.Contains(t, []int{401, 403, 409}, byToken.status, about)
		require.Contains(t, guardReasons(), reasonOf(byToken), about)
		return
	}
	requireThrough(t, fresh, about)
	switch {
	case row.StepUp:
		g.denied(t, stale, 401, "step_up")
		g.denied(t, never, 401, "step_up")
		g.denied(t, byToken, 401, "step_up_person")
	case stage != operator.StageFull && !slices.Contains(row.Stages, operator.StageFull):
		require.Contains(t, guardReasons(), reasonOf(byToken), about)
	default:
		requireThrough(t, stale, about)
		requireThrough(t, byToken, about)
	}
}

func (g *gate) denied(t *testing.T, r reply, status int, reason string) {
	t.Helper()
	require.Equal(t, fmt.Sprint(status, " ", reason), fmt.Sprint(r.status, " ", reasonOf(r)), r.body)
}

func (g *gate) inTx(do func(*meta.Tx) error) {
	g.t.Helper()
	require.NoError(g.t, g.db.InTx(context.Background(), do))
}

// token makes an API token of a role.
func (g *gate) token(maker *person, role operator.Role) string {
	g.t.Helper()
	_, secret, err := g.desk.CreateToken(context.Background(), &maker.ticket.Principal, audit.CLI, "", operator.NewToken{
		Name: "walk", Role: role, ExpiresAt: time.Now().Add(time.Hour),
	})
	require.NoError(g.t, err)
	return secret
}

// session is another one of a person's, at a stage and with a second factor that was shown at a time.
func (g *gate) session(p *person, stage operator.Stage, steppedUp time.Time) operator.Ticket {
	g.t.Helper()
	raw := make([]byte, 32)
	_, _ = rand.Read(raw)
	t := operator.Ticket{Token: base64.RawURLEncoding.EncodeToString(raw)}
	g.inTx(func(tx *meta.Tx) error {
		now := meta.Now()
		return tx.Create(&meta.OperatorSession{
			ID: meta.NewID(), OperatorID: p.id, Hash: auth.HashKey(t.Token), Stage: string(stage), CreatedAt: now, SeenAt: now,
			SteppedUpAt: meta.StampOf(steppedUp),
		})
	})
	_, csrf, err := g.desk.Session(context.Background(), t.Token)
	require.NoError(g.t, err)
	t.CSRF = csrf
	return t
}

// age makes a session look as if it had been idle.
func (g *gate) age(t operator.Ticket, idle time.Duration) {
	g.t.Helper()
	n, err := g.db.Exec(context.Background(), "UPDATE operator_sessions SET seen_at = seen_at - ? WHERE hash = ?", idle.Microseconds(), auth.HashKey(t.Token))
	require.NoError(g.t, err)
	require.EqualValues(g.t, 1, n)
}
