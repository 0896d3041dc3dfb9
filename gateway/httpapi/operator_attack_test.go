package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/gateway/auth/operator"
	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

func jsonOf(pairs ...string) string {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	raw, _ := json.Marshal(m)
	return string(raw)
}

// ticketIn reads the session that an answer begins or renews.
func ticketIn(t *testing.T, r reply) operator.Ticket {
	t.Helper()
	require.Equal(t, 200, r.status, r.body)
	var in struct {
		CSRF string `json:"csrf_token"`
	}
	require.NoError(t, json.Unmarshal([]byte(r.body), &in))
	cookie := r.header.Get("Set-Cookie")
	require.Regexp(t, `^__Host-gatehouse=[^;]{43,}; path=/; HttpOnly; secure; SameSite=Strict$`, cookie)
	token, _, _ := strings.Cut(strings.TrimPrefix(cookie, operator.Cookie+"="), ";")
	return operator.Ticket{Token: token, CSRF: in.CSRF}
}

func (g *gate) login(p *person, header map[string]string) reply {
	g.t.Helper()
	return g.send(call{"POST", "/api/admin/auth/login", jsonOf("name", p.name, "password", p.password), header})
}

// TestALoginChangesTheSession: who planted or saw an earlier id of the session has nothing (fixation).
func TestALoginChangesTheSession(t *testing.T) {
	g := openGate(t, metatest.SQLite(t), nil)
	p := g.hire("kim", operator.Ops)
	planted := strings.Repeat("A", 43)
	first := ticketIn(t, g.login(p, map[string]string{"Cookie": operator.Cookie + "=" + planted}))
	require.NotEqual(t, planted, first.Token)
	verify := call{method: "POST", path: "/api/admin/auth/verify", body: jsonOf("code", p.code(t))}
	second := ticketIn(t, g.send(g.of(first, verify)))
	require.NotEqual(t, first.Token, second.Token)
	list := call{method: "GET", path: "/api/admin/plans"}
	g.denied(t, g.send(g.of(first, list)), 401, "session_missing")
	require.Equal(t, 200, g.send(g.of(second, list)).status)
	third := ticketIn(t, g.send(g.of(second, call{method: "POST", path: "/api/admin/auth/step-up", body: jsonOf("code", p.code(t))})))
	g.denied(t, g.send(g.of(second, list)), 401, "session_missing")
	require.Equal(t, 200, g.send(g.of(third, list)).status)
}

// TestOtherSitesCannotWrite: a page of another site can make a browser send the cookie, not the token, and its origin shows.
func TestOtherSitesCannotWrite(t *testing.T) {
	g := openGate(t, metatest.SQLite(t), func(_ *Options, o *Operators) { o.Origins = []string{"https://files.example.com"} })
	p, other := g.hire("kim", operator.Ops), g.hire("sam", operator.Ops)
	write := call{method: "POST", path: "/api/admin/plans", body: `{"name":"x","like":"y"}`}
	for _, tt := range []struct {
		name   string
		header map[string]string
		reason string
	}{
		{"another origin", map[string]string{"Origin": "https://evil.example"}, "origin"},
		{"no origin", map[string]string{"Origin": ""}, "origin"},
		{"the null origin", map[string]string{"Origin": "null"}, "origin"},
		{"a longer name", map[string]string{"Origin": g.url + ".evil.example"}, "origin"},
		{"its origin in another scheme", map[string]string{"Origin": "http://files.example.com"}, "origin"},
		{"no token", map[string]string{HeaderCSRF: ""}, "csrf"},
		{"another session's token", map[string]string{HeaderCSRF: other.ticket.CSRF}, "csrf"},
		{"own page", nil, "plan_unknown"},
		{"known origin", map[string]string{"Origin": "https://files.example.com"}, "plan_unknown"},
	} {
		c := write
		c.header = tt.header
		require.Equal(t, tt.reason, reasonOf(g.send(g.of(p.ticket, c))), tt.name)
	}
	signIn := g.login(p, map[string]string{"Origin": "https://evil.example"})
	g.denied(t, signIn, 403, "origin") // else another site could sign a visitor in as somebody else
	var n int64
	g.inTx(func(tx *meta.Tx) error {
		_, err := tx.Scan(&n, `SELECT COUNT(*) FROM audit_log WHERE action = 'plan.create' AND result = 'refused' AND code = 'FORBIDDEN' AND actor_id = ?`, p.id)
		return err
	})
	require.EqualValues(t, 7, n, "each attempt is in the log")
}

// TestOneCodeOpensOneDoor: a code that was used works nowhere again, and of many at once exactly one does.
func TestOneCodeOpensOneDoor(t *testing.T) {
	metatest.EachTwice(t, func(t *testing.T, one, two *meta.DB) {
		g, h := openGate(t, one, nil), openGate(t, two, nil)
		p := g.hire("kim", operator.Ops)
		code := p.code(t)
		verify := func(g *gate, s operator.Ticket) reply {
			return g.send(g.of(s, call{method: "POST", path: "/api/admin/auth/verify", body: jsonOf("code", code)}))
		}
		var sessions []operator.Ticket
		for range 4 {
			sessions = append(sessions, ticketIn(t, g.login(p, nil)))
		}
		answers := make([]reply, len(sessions))
		var all sync.WaitGroup
		for i, s := range sessions {
			all.Go(func() { answers[i] = verify([]*gate{g, h}[i%2], s) })
		}
		all.Wait()
		won := 0
		for _, a := range answers {
			if a.status == 200 {
				won++
			}
		}
		require.Equal(t, 1, won, "%v", answers)
		replay := g.send(g.of(p.ticket, call{method: "POST", path: "/api/admin/auth/step-up", body: jsonOf("code", code)}))
		require.NotEqual(t, 200, replay.status, "a code of the login steps nobody up")
	})
}

// TestGuessesOnTwoGatewaysAreCountedTogether: five for an account, whoever asks and however many at once, and a stranger
// cannot tell a name that there is from one that there is not.
func TestGuessesOnTwoGatewaysAreCountedTogether(t *testing.T) {
	metatest.EachTwice(t, func(t *testing.T, one, two *meta.DB) {
		trust := func(o *Options, _ *Operators) {
			o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		}
		g, h := openGate(t, one, trust), openGate(t, two, trust)
		p := g.hire("kim", operator.Ops)
		guess := func(name string) map[string]int {
			answers := make([]string, 16)
			var all sync.WaitGroup
			for i := range answers {
				all.Go(func() {
					r := []*gate{g, h}[i%2].send(call{"POST", "/api/admin/auth/login", jsonOf("name", name, "password", fmt.Sprint("Wrong-guess-", i)),
						map[string]string{"X-Forwarded-For": fmt.Sprintf("198.51.100.%d", i)}})
					answers[i] = fmt.Sprint(r.status, " ", reasonOf(r))
				})
			}
			all.Wait()
			counts := map[string]int{}
			for _, a := range answers {
				counts[a]++
			}
			return counts
		}
		want := map[string]int{"401 login_failed": 5, "429 login_locked": 11}
		require.Equal(t, want, guess(p.name))
		require.Equal(t, want, guess("nobody-of-that-name"))
		right := g.login(p, map[string]string{"X-Forwarded-For": "203.0.113.9"})
		g.denied(t, right, 429, "login_locked")
		require.NotEmpty(t, right.header.Get("Retry-After"))
	})
}

// TestAForgedAddressOpensNothing: the allow-list and the lock of an address go by the address that the proxy saw.
func TestAForgedAddressOpensNothing(t *testing.T) {
	trust := func(o *Options, _ *Operators) {
		o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	}
	g := openGate(t, metatest.SQLite(t), trust)
	p := g.hire("kim", operator.Super)
	_, err := g.desk.AddNetwork(t.Context(), audit.CLI, "", "192.0.2.0/24", "office", caller.Address, true)
	require.NoError(t, err)
	list := call{method: "GET", path: "/api/admin/plans"}
	for forwarded, status := range map[string]int{
		"192.0.2.7":                          200,
		"192.0.2.7, 198.51.100.1":            403, // the client wrote the first one
		"192.0.2.7, 198.51.100.1, 127.0.0.1": 403,
		"198.51.100.1, 192.0.2.7":            200,
		"192.0.2.7, nonsense":                403,
		"":                                   403,
	} {
		c := list
		c.header = map[string]string{"X-Forwarded-For": forwarded}
		r := g.send(g.of(p.ticket, c))
		require.Equal(t, status, r.status, "%q: %s", forwarded, r.body)
	}
	blocked := g.login(p, map[string]string{"X-Forwarded-For": "192.0.2.7, 198.51.100.1"})
	require.Equal(t, 403, blocked.status, "the login too")

	untrusting := openGate(t, g.db, nil)
	c := list
	c.header = map[string]string{"X-Forwarded-For": "192.0.2.7", "X-Real-IP": "192.0.2.7", "Forwarded": "for=192.0.2.7"}
	require.Equal(t, 403, untrusting.send(untrusting.of(p.ticket, c)).status, "nobody is trusted to say who it is")
}

// TestAStolenSessionEndsWithItsOwner: after logout, revocation, a new role, a new password or deactivation it opens nothing,
// on any gateway.
func TestAStolenSessionEndsWithItsOwner(t *testing.T) {
	metatest.EachTwice(t, func(t *testing.T, one, two *meta.DB) {
		g, h := openGate(t, one, nil), openGate(t, two, nil)
		boss := g.hire("boss", operator.Super)
		list := call{method: "GET", path: "/api/admin/plans"}
		for name, end := range map[string]func(p *person){
			"logout": func(p *person) {
				require.Equal(t, 204, g.send(g.of(p.ticket, call{method: "POST", path: "/api/admin/auth/logout", body: "{}"})).status)
			},
			"revoked by a super": func(p *person) {
				s := g.session(boss, operator.StageFull, time.Now())
				require.Equal(t, 204, g.send(g.of(s, call{method: "DELETE", path: "/api/admin/auth/sessions/" + p.ticket.Principal.SessionID, body: "{}"})).status)
			},
			"role": func(p *person) {
				s := g.session(boss, operator.StageFull, time.Now())
				require.Equal(t, 200, g.send(g.of(s, call{method: "PUT", path: "/api/admin/operators/" + p.id + "/role", body: jsonOf("role", "auditor")})).status)
			},
			"deactivated": func(p *person) {
				s := g.session(boss, operator.StageFull, time.Now())
				require.Equal(t, 200, g.send(g.of(s, call{method: "POST", path: "/api/admin/operators/" + p.id + "/deactivate", body: "{}"})).status)
			},
			"password": func(p *person) {
				other := g.session(p, operator.StageFull, time.Now())
				r := g.send(g.of(other, call{method: "POST", path: "/api/admin/auth/password", body: jsonOf("old", p.password, "new", "Merlin-91-harbour")}))
				require.Equal(t, 200, r.status, r.body)
			},
		} {
			p := g.hire("victim-"+strings.ReplaceAll(name, " ", "-"), operator.Ops)
			require.Equal(t, 200, h.send(h.of(p.ticket, list)).status)
			end(p)
			for _, gateway := range []*gate{g, h} {
				g.denied(t, gateway.send(gateway.of(p.ticket, list)), 401, "session_ended")
			}
		}
	})
}

// TestTheAdminHostAnswersOperatorsOnly, and no other name does.
func TestTheAdminHostAnswersOperatorsOnly(t *testing.T) {
	g := openGate(t, metatest.SQLite(t), func(o *Options, _ *Operators) { o.AdminHost = "admin.example.com" })
	p := g.hire("kim", operator.Ops)
	list := call{method: "GET", path: "/api/admin/plans"}
	for host, status := range map[string]int{
		"admin.example.com": 200, "ADMIN.example.com:8443": 200, "files.example.com": 404, "admin.example.com.evil.example": 404, "127.0.0.1": 404,
	} {
		c := g.of(p.ticket, list)
		c.header["Host"] = host
		c.header["X-Forwarded-Host"] = "admin.example.com"
		require.Equal(t, status, g.send(c).status, host)
		c = call{method: "GET", path: "/healthz", header: map[string]string{"Host": host}}
		require.Equal(t, map[int]int{200: 404, 404: 200}[status], g.send(c).status, "what is for everybody, on %s", host)
	}
	elsewhere := g.of(p.ticket, list)
	elsewhere.header["Host"] = "files.example.com"
	nowhere := call{method: "GET", path: "/api/nothing", header: map[string]string{"Host": "files.example.com"}}
	code, reason := g.send(elsewhere).refusal(t)
	wantCode, wantReason := g.send(nowhere).refusal(t)
	require.Equal(t, wantCode, code)
	require.Equal(t, wantReason, reason, "nobody learns that it is there")
	require.Equal(t, storage.CodeNotFound, code)
	for host, line := range map[string]string{
		"files.example.com@admin.example.com": "/api/admin/plans", "files.example.com": "http://admin.example.com/api/admin/plans",
	} {
		answer := g.raw("GET " + line + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n")
		require.Regexp(t, "^HTTP/1.1 40[04] ", answer, "%s by %s", line, host)
	}
	require.Contains(t, g.raw("GET /api/admin/plans HTTP/1.1\r\nHost: admin.example.com\r\nConnection: close\r\n\r\n"), "HTTP/1.1 401 ")
	for _, path := range []string{"//api/admin/plans", "/api/%61dmin/plans", "/x/../api/admin/plans", "/API/admin/plans"} {
		c := g.of(p.ticket, call{method: "GET", path: path})
		c.header["Host"] = "files.example.com"
		require.NotEqual(t, 200, g.send(c).status, path)
	}
}

// TestWhatIsReadIsInTheLog, and what was refused.
func TestWhatIsReadIsInTheLog(t *testing.T) {
	g := openGate(t, metatest.SQLite(t), nil)
	p := g.hire("kim", operator.Auditor)
	require.Equal(t, 404, g.send(g.of(p.ticket, call{method: "GET", path: "/api/admin/plans/gold"})).status)
	require.Equal(t, 200, g.send(g.of(p.ticket, call{method: "GET", path: "/api/admin/plans?limit=3"})).status)
	require.Equal(t, 403, g.send(g.of(p.ticket, call{method: "DELETE", path: "/api/admin/plans/gold", body: "{}"})).status)
	for action, want := range map[string]string{
		"plan.show": "gold refused NOT_FOUND", "plan.list": " ok ", "plan.remove": "gold refused FORBIDDEN",
	} {
		list, err := g.db.AuditLog(t.Context(), meta.AuditFilter{Action: action}, 10)
		require.NoError(t, err)
		require.Len(t, list, 1, action)
		require.Equal(t, want, list[0].Target+" "+list[0].Result+" "+list[0].Code)
		require.Equal(t, "operator auditor 127.0.0.1", list[0].ActorKind+" "+list[0].ActorRole+" "+list[0].Address)
		require.Equal(t, p.id, list[0].ActorID)
	}
	boss := g.hire("boss", operator.Super)
	same := g.send(g.of(boss.ticket, call{method: "PUT", path: "/api/admin/operators/" + p.id + "/role", body: jsonOf("role", "auditor")}))
	require.Equal(t, 200, same.status, same.body)
	require.Equal(t, 404, g.send(g.of(boss.ticket, call{method: "DELETE", path: "/api/admin/tenants/x/keys/ghk_0123456789012345678901234567890123456789012"})).status)
	var left []string
	g.inTx(func(tx *meta.Tx) error {
		_, err := tx.Scan(&left, `SELECT target || data FROM audit_log WHERE actor_id = ? AND action IN ('operator.role', 'key.revoke') ORDER BY id`, boss.id)
		return err
	})
	require.Len(t, left, 2, "a call that changed nothing is in the log too")
	require.Contains(t, left[0], `"unchanged":true`)
	require.Contains(t, left[1], "x/ghk_***", "and no key is")
	require.NotContains(t, left[1], "0123456789")

	require.Equal(t, http.StatusUnauthorized, g.send(call{method: "GET", path: "/api/admin/plans"}).status)
	list, err := g.db.AuditLog(t.Context(), meta.AuditFilter{Action: "plan.list"}, 10)
	require.NoError(t, err)
	require.Len(t, list, 1, "a stranger writes nothing into it")
}
