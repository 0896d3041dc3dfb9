package operator

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
)

func TestSessionsEndIdleAndInAll(t *testing.T) {
	each(t, func(o *office) {
		alex := o.hire("alex", Super)
		for range 24 { // used every 29 minutes, on either gateway
			o.pass(29 * time.Minute)
			_, _, err := o.two.Session(o.Context(), alex.ticket.Token)
			require.NoError(o, err)
		}
		o.pass(29 * time.Minute)
		_, _, err := o.one.Session(o.Context(), alex.ticket.Token)
		o.refused(err, "session_ended") // twelve hours are over

		idle := alex.full()
		require.Equal(o, o.now().Add(SessionLife-30*time.Second).Unix(), idle.ticket.ExpiresAt.Unix())
		o.pass(30 * time.Minute)
		_, _, err = o.one.Session(o.Context(), idle.ticket.Token)
		o.refused(err, "session_ended")
		list, err := o.one.Sessions(o.Context(), alex.id)
		require.NoError(o, err)
		require.Empty(o, list)
		for _, token := range []string{"", "x", strings.Repeat("A", 43), idle.ticket.Token + "A"} {
			_, _, err = o.one.Session(o.Context(), token)
			o.refused(err, "session_missing")
		}
	})
}

// A session that was stolen is worth nothing after any of these.
func TestWhatEndsSessions(t *testing.T) {
	each(t, func(o *office) {
		boss := o.hire("boss", Super)
		for name, end := range map[string]func(id string) error{
			"role": func(id string) error {
				_, err := o.two.SetRole(o.Context(), audit.CLI, "", id, Auditor)
				return err
			},
			"deactivated": func(id string) error { _, err := o.two.Deactivate(o.Context(), audit.CLI, "", id); return err },
			"reset":       func(id string) error { _, _, err := o.two.ResetAccess(o.Context(), audit.CLI, "", id); return err },
		} {
			p := o.hire("some."+name, Ops)
			held := p.principal()
			require.NoError(o, end(p.id))
			_, _, err := o.one.Session(o.Context(), p.ticket.Token)
			o.refused(err, "session_ended")
			_, err = o.one.StepUp(o.Context(), home, held, p.next())
			require.Error(o, err, "a request that was let in just before")
			_, err = o.one.ChangePassword(o.Context(), home, held, goodPassword, "Lemur1-Quartz-Banjo")
			require.Error(o, err)
		}
		ops := o.hire("ops", Ops)
		o.refused(o.one.RevokeSession(o.Context(), home, ops.principal(), boss.ticket.Principal.SessionID), "session_unknown")
		boss.principal()
		require.NoError(o, o.one.RevokeSession(o.Context(), home, boss.principal(), ops.ticket.Principal.SessionID))
		_, _, err := o.two.Session(o.Context(), ops.ticket.Token)
		o.refused(err, "session_ended")
		o.refused(o.one.RevokeSession(o.Context(), home, boss.principal(), ops.ticket.Principal.SessionID), "session_unknown")
	})
}

// Of two requests of one session that both renew it, one does; nobody is left with two good secrets.
func TestRenewingIsWonByOne(t *testing.T) {
	each(t, func(o *office) {
		alex := o.hire("alex", Super)
		held := alex.principal()
		o.pass(time.Minute)
		codes := []string{alex.code(), alex.next()}
		tickets := make([]Ticket, 2)
		errs := o.atOnce(2, func(d *Desk, i int) (err error) {
			tickets[i], err = d.StepUp(o.Context(), home, held, codes[i])
			return err
		})
		require.Equal(o, 1, o.count(errs, ""), "%v", errs)
		good := 0
		for _, s := range tickets {
			if _, _, err := o.one.Session(o.Context(), s.Token); err == nil {
				good++
			}
		}
		require.Equal(o, 1, good)
	})
}

// A login that is under way while the account is shut finds it shut.
func TestLoginDuringDeactivation(t *testing.T) {
	each(t, func(o *office) {
		o.hire("boss", Super)
		for i := range 5 {
			p := o.hire(fmt.Sprint("user", i), Ops)
			tickets := make([]Ticket, 4)
			errs := o.atOnce(4, func(d *Desk, i int) (err error) {
				if i == 0 {
					_, err = d.Deactivate(o.Context(), audit.CLI, "", p.id)
					return err
				}
				tickets[i], err = d.Login(o.Context(), from(i), p.name, goodPassword)
				return err
			})
			require.NoError(o, errs[0])
			for i, s := range tickets {
				_, _, err := o.one.Session(o.Context(), s.Token)
				require.Error(o, err, "%d: %v", i, errs[i])
			}
		}
	})
}

func TestInactiveAndUnknownAnswerAlike(t *testing.T) {
	each(t, func(o *office) {
		o.hire("boss", Super)
		gone := o.hire("gone", Ops)
		_, err := o.one.Deactivate(o.Context(), audit.CLI, "", gone.id)
		require.NoError(o, err)
		_, _, err = o.one.CreateOperator(o.Context(), audit.CLI, "", "invited", Ops)
		require.NoError(o, err)
		var first *storage.Error
		for i, try := range []struct{ name, password string }{
			{"boss", "wrong"}, {"gone", goodPassword}, {"invited", ""}, {"nobody", goodPassword}, {"", ""}, {gone.id, goodPassword},
			{"boss", strings.Repeat("x", 5000)}, {strings.Repeat("n", 5000), "x"}, {"a\x00b\xff", "x"},
		} {
			_, err := o.one.Login(o.Context(), from(i), try.name, try.password)
			e := &storage.Error{}
			require.ErrorAs(o, err, &e, try.name)
			require.NoError(o, e.Cause, try.name)
			if first == nil {
				first = e
			}
			require.Equal(o, first, e)
		}
		for _, r := range o.logged("operator.login") {
			if r.Result == audit.Refused {
				require.Equal(o, audit.KindStranger, r.ActorKind)
				require.Empty(o, r.ActorID)
				require.True(o, slices.Contains([]string{"boss", "gone", "invited"}, r.Target) || strings.HasPrefix(r.Target, "unknown:"), r.Target)
			}
		}
		_, err = o.one.Activate(o.Context(), audit.CLI, "", "gone")
		require.NoError(o, err)
		gone.full()
	})
}

// Argon2 runs once for every login, whoever it is for.
func TestUnknownNamesCostTheSameWork(t *testing.T) {
	onSQLite(t, func(o *office) {
		o.hire("boss", Super)
		d := o.one
		real, err := NewDesk(o.db, testKey)
		require.NoError(o, err)
		c, _, _, err := decode(real.hashes.nobody)
		require.NoError(o, err)
		require.Equal(o, owasp, c)
		// With no slot free, each login that would hash says so.
		d.hashes.slots, d.hashes.wait = make(chan struct{}), time.Millisecond
		for i, name := range []string{"boss", "nobody", "", strings.Repeat("n", 300)} {
			for _, password := range []string{"wrong", goodPassword, strings.Repeat("x", 5000)} {
				_, err := d.Login(o.Context(), from(i), name, password)
				o.refused(err, "login_busy")
			}
		}
	})
}

func TestTokens(t *testing.T) {
	each(t, func(o *office) {
		o.hire("boss", Super)
		ops := o.hire("ops", Ops)
		p := ops.principal()
		until := o.now().Add(24 * time.Hour)
		for slug, n := range map[string]NewToken{
			"token_name":        {Role: Ops, ExpiresAt: until},
			"role_unknown":      {Name: "x", Role: "root", ExpiresAt: until},
			"token_role":        {Name: "x", Role: Super, ExpiresAt: until},
			"token_expiry":      {Name: "x", Role: Ops, ExpiresAt: o.now().Add(TokenLife + time.Second)},
			"network_malformed": {Name: "x", Role: Ops, ExpiresAt: until, CIDRs: []string{"10.0.0.0/33"}},
		} {
			_, _, err := o.one.CreateToken(o.Context(), p, p.Actor(), "", n)
			o.refused(err, slug)
		}
		_, _, err := o.one.CreateToken(o.Context(), p, p.Actor(), "", NewToken{Name: "x", Role: Ops, ExpiresAt: o.now()})
		o.refused(err, "token_expiry")

		v, secret, err := o.one.CreateToken(o.Context(), p, p.Actor(), "ci", NewToken{
			Name: "ci", Role: Ops, ExpiresAt: until, CIDRs: []string{"10.1.2.3/8", "2001:db8::1"},
		})
		require.NoError(o, err)
		require.Equal(o, []string{"10.0.0.0/8", "2001:db8::1/128"}, v.CIDRs)
		require.True(o, strings.HasPrefix(secret, "gho_"))
		inside := netip.MustParseAddr("::ffff:10.9.9.9")
		got, err := o.two.Token(o.Context(), secret, inside)
		require.NoError(o, err)
		require.Equal(o, v.ID, got.TokenID)
		require.Equal(o, Ops, got.Role)
		require.Zero(o, got.SteppedUp)
		_, err = o.one.StepUp(o.Context(), home, got, ops.next())
		o.refused(err, "token_no_session")
		_, err = o.one.ChangePassword(o.Context(), home, got, goodPassword, "Lemur1-Quartz-Banjo")
		o.refused(err, "token_no_session")
		o.refused(o.one.RevokeSession(o.Context(), home, got, ops.principal().SessionID), "token_no_session")
		for _, addr := range []netip.Addr{{}, netip.MustParseAddr("11.0.0.1"), netip.MustParseAddr("2001:db8::2")} {
			_, err = o.two.Token(o.Context(), secret, addr)
			o.refused(err, "token_network")
		}
		_, _, err = o.one.Session(o.Context(), secret)
		o.refused(err, "session_missing")
		_, err = o.one.Token(o.Context(), ops.ticket.Token, inside)
		o.refused(err, "token_invalid")

		_, err = o.one.SetRole(o.Context(), audit.CLI, "", "ops", Auditor)
		require.NoError(o, err)
		got, err = o.two.Token(o.Context(), secret, inside)
		require.NoError(o, err)
		require.Equal(o, Auditor, got.Role, "never more than its operator may now")
		_, err = o.one.Deactivate(o.Context(), audit.CLI, "", "ops")
		require.NoError(o, err)
		_, err = o.two.Token(o.Context(), secret, inside)
		o.refused(err, "token_invalid")
		_, err = o.one.Activate(o.Context(), audit.CLI, "", "ops")
		require.NoError(o, err)
		_, err = o.two.Token(o.Context(), secret, inside)
		o.refused(err, "token_invalid")
		require.Contains(o, o.logged("operator.deactivate")[0].Data, v.ID)

		again := ops.full()
		v, secret, err = o.one.CreateToken(o.Context(), again.principal(), audit.CLI, "", NewToken{Name: "ci", Role: Auditor, ExpiresAt: until})
		require.NoError(o, err)
		_, _, err = o.one.ResetAccess(o.Context(), audit.CLI, "", "ops")
		require.NoError(o, err)
		_, err = o.two.Token(o.Context(), secret, inside)
		o.refused(err, "token_invalid")
		require.Contains(o, o.logged("operator.reset")[0].Data, v.ID)

		boss := o.hire("chief", Super)
		v, secret, err = o.one.CreateToken(o.Context(), boss.principal(), audit.CLI, "", NewToken{Name: "ci", Role: Auditor, ExpiresAt: until})
		require.NoError(o, err)
		_, err = o.two.Token(o.Context(), secret, inside)
		require.NoError(o, err)
		list, err := o.two.Tokens(o.Context())
		require.NoError(o, err)
		require.Len(o, list, 3)
		require.NotNil(o, list[0].UsedAt)
		require.NoError(o, o.one.RevokeToken(o.Context(), audit.CLI, "", v.ID))
		_, err = o.two.Token(o.Context(), secret, inside)
		o.refused(err, "token_invalid")
		o.refused(o.one.RevokeToken(o.Context(), audit.CLI, "", v.ID), "token_revoked")
		o.refused(o.one.RevokeToken(o.Context(), audit.CLI, "", "a\x00"), "token_unknown")
		_, err = o.one.Unlock(o.Context(), audit.CLI, "", "a\x00b")
		o.refused(err, "operator_unknown")
		_, err = o.one.Operator(o.Context(), "a\x00b")
		o.refused(err, "operator_unknown")
		require.NotContains(o, o.everythingLogged(), secret)
	})
}

func TestTokenExpires(t *testing.T) {
	onSQLite(t, func(o *office) {
		p := o.hire("ops", Ops).principal()
		_, secret, err := o.one.CreateToken(o.Context(), p, p.Actor(), "", NewToken{Name: "ci", Role: Ops, ExpiresAt: o.now().Add(time.Hour)})
		require.NoError(o, err)
		o.pass(59 * time.Minute)
		_, err = o.one.Token(o.Context(), secret, home.Address)
		require.NoError(o, err)
		o.pass(time.Minute)
		_, err = o.one.Token(o.Context(), secret, home.Address)
		o.refused(err, "token_invalid")
	})
}

func TestTracesAreForgotten(t *testing.T) {
	each(t, func(o *office) {
		alex := o.hire("alex", Super)
		_, _, err := o.one.CreateOperator(o.Context(), audit.CLI, "", "invited", Ops)
		require.NoError(o, err)
		rows := func() (n int64) {
			require.NoError(o, o.db.InTx(o.Context(), func(tx *meta.Tx) error {
				_, err := tx.Scan(&n, `SELECT (SELECT COUNT(*) FROM operator_sessions) + (SELECT COUNT(*) FROM operator_attempts) + (SELECT COUNT(*) FROM operator_links)`)
				return err
			}))
			return n
		}
		_, err = o.one.Login(o.Context(), from(1), "alex", "wrong")
		o.refused(err, "login_failed")
		require.NoError(o, o.db.ForgetOperatorTraces(o.Context(), meta.StampOf(o.now().Add(time.Hour))))
		alex.principal()
		require.EqualValues(o, 7, rows(), "a session, two links, counts of an account, its sessions and two addresses")
		require.NoError(o, o.db.ForgetOperatorTraces(o.Context(), meta.StampOf(o.now().Add(8*24*time.Hour))))
		require.Zero(o, rows())

		p := alex.full().principal()
		for name, life := range map[string]time.Duration{"short": time.Hour, "long": 30 * 24 * time.Hour} {
			_, _, err := o.one.CreateToken(o.Context(), p, audit.CLI, "", NewToken{Name: name, Role: Ops, ExpiresAt: o.now().Add(life)})
			require.NoError(o, err)
		}
		require.NoError(o, o.db.ForgetOperatorTraces(o.Context(), meta.StampOf(o.now().Add(91*24*time.Hour))))
		list, err := o.one.Tokens(o.Context())
		require.NoError(o, err)
		require.Len(o, list, 1)
		require.Equal(o, "long", list[0].Name)
	})
}
