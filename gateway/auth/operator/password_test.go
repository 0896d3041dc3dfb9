package operator

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/audit"
)

func TestEveryRefusedPasswordSaysWhichRule(t *testing.T) {
	for password, want := range map[string]string{
		"":                                 "password_too_short",
		"Ab1!éé":                           "password_too_short",
		"Ab1!Ab1!x":                        "password_too_short",
		"kelp7-anvil-quorum":               "password_kinds",
		"KELP7-ANVIL-QUORUM":               "password_kinds",
		"Kelp-Anvil-Quorum":                "password_kinds",
		"Kelp7AnvilQuorum":                 "password_kinds",
		"P@ssw0rd123!":                     "password_common",
		"Pa$$w0rd2026":                     "password_common",
		"Password1234!":                    "password_common",
		"Qwerty12345!":                     "password_common",
		"Admin@123456":                     "password_common",
		"Welcome@2024":                     "password_common",
		"Gatehouse-2026":                   "password_common",
		"Aaaaaaaaaa1!":                     "password_common",
		"Kelp7-Alexandra-Quorum":           "password_has_name",
		"Kelp7-aLEXANDRA-Quorum":           "password_has_name",
		"Kelp7-Anvil\x00Quorum":            "password_characters",
		"Kelp7-Anvil\xffQuorum":            "password_characters",
		strings.Repeat("Kelp7-Anvil-", 11): "password_too_long",
	} {
		err := judge(password, "alexandra")
		require.Error(t, err, password)
		require.Equal(t, want, reason(t, err), password)
		require.Equal(t, storage.CodeMalformedRequest, storage.CodeOf(err))
	}
	for _, password := range []string{goodPassword, "Tr0ub4dor&3xyz", "Éclair7-wombat sonnet", "密码Kelp7-anvil quorum"} {
		require.NoError(t, judge(password, "alexandra"), password)
	}
}

func TestHashesArePHCAndJudgedAtTheirOwnCost(t *testing.T) {
	h := newHashes()
	phc, err := h.hash(t.Context(), goodPassword)
	require.NoError(t, err)
	require.Regexp(t, `^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$`, phc)
	again, err := h.hash(t.Context(), goodPassword)
	require.NoError(t, err)
	require.NotEqual(t, phc, again)
	for password, want := range map[string]bool{goodPassword: true, goodPassword + " ": false, "": false} {
		ok, err := h.matches(t.Context(), phc, password)
		require.NoError(t, err)
		require.Equal(t, want, ok)
	}
	require.False(t, h.stale(phc))
	h.cost.Time++
	require.True(t, h.stale(phc))
	// The vector of the reference implementation's README: argon2id, v=19, m=64 MiB, t=2, p=1, "password", "somesalt".
	ok, err := h.matches(t.Context(), "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "password")
	require.NoError(t, err)
	require.True(t, ok)
	for _, bad := range []string{
		"", "x", "$argon2i$v=19$m=64,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		"$argon2id$v=19$m=99999999,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		"$argon2id$v=19$m=64,t=0,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
	} {
		_, err := h.matches(t.Context(), bad, "password")
		require.Error(t, err, bad)
	}
}

func TestFewPasswordsAreHashedAtOnce(t *testing.T) {
	h := newHashes()
	h.slots, h.wait = make(chan struct{}, 2), time.Hour
	h.cost = cost{Memory: 64, Time: 1, Threads: 1}
	var inside, most atomic.Int32
	done := make(chan struct{})
	for range 50 {
		go func() {
			defer func() { done <- struct{}{} }()
			leave, err := h.turn(context.Background())
			if err != nil {
				return
			}
			defer leave()
			n := inside.Add(1)
			defer inside.Add(-1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			time.Sleep(time.Millisecond)
		}()
	}
	for range 50 {
		<-done
	}
	require.EqualValues(t, 2, most.Load())

	for range 2 {
		_, err := h.turn(t.Context())
		require.NoError(t, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := h.hash(ctx, goodPassword)
	require.Equal(t, storage.CodeUnavailable, storage.CodeOf(err))
	require.ErrorIs(t, err, context.Canceled)
	h.wait = time.Millisecond
	_, err = h.hash(t.Context(), goodPassword)
	require.Equal(t, storage.CodeUnavailable, storage.CodeOf(err))
	require.Equal(t, "login_busy", reason(t, err))
}

// A gateway that is too busy to judge a password does not count the attempt.
func TestBusyGatewayCountsNothing(t *testing.T) {
	onSQLite(t, func(o *office) {
		alex := o.hire("alex", Ops)
		slots := o.one.hashes.slots
		o.one.hashes.slots, o.one.hashes.wait = make(chan struct{}), time.Millisecond
		for range 25 {
			_, err := o.one.Login(o.Context(), home, "alex", "wrong")
			o.refused(err, "login_busy")
		}
		o.one.hashes.slots = slots
		alex.login()
	})
}

func TestPasswordsAreRehashedWhenTheCostHasChanged(t *testing.T) {
	onSQLite(t, func(o *office) {
		alex := o.hire("alex", Ops)
		o.one.hashes.cost.Time = 2
		alex.login()
		row, err := o.db.OperatorNamed(o.Context(), "alex")
		require.NoError(o, err)
		require.Contains(o, row.PasswordHash, "t=2")
		alex.login()
	})
}

func TestPasswordIsChangedNotReusedAndAges(t *testing.T) {
	each(t, func(o *office) {
		alex := o.hire("alex", Super)
		change := func(p *person, old, next string) error {
			ticket, err := o.two.ChangePassword(o.Context(), home, p.principal(), old, next)
			if err == nil {
				p.ticket = ticket
			}
			return err
		}
		other := alex.full()
		before := alex.ticket.Token
		o.refused(change(alex, "wrong", "Lemur0-Quartz-Banjo"), "password_wrong")
		o.refused(change(alex, goodPassword, "short"), "password_too_short")
		o.refused(change(alex, goodPassword, goodPassword), "password_reused")
		old := goodPassword
		list := []string{"Lemur1-Quartz-Banjo", "Otter2-Violin-Marsh", "Heron3-Saddle-Prism", "Bison4-Candle-Fjord", "Moose5-Ribbon-Glyph"}
		for i, next := range list {
			require.NoError(o, change(alex, old, next))
			old = next
			if i < 4 {
				o.refused(change(alex, old, goodPassword), "password_reused")
			}
		}
		_, _, err := o.one.Session(o.Context(), other.ticket.Token)
		o.refused(err, "session_ended")
		_, _, err = o.one.Session(o.Context(), before)
		o.refused(err, "session_missing")
		require.NoError(o, change(alex, old, goodPassword), "the sixth one back may come again")

		o.pass(91 * 24 * time.Hour)
		later := alex.login()
		ticket, err := o.one.Verify(o.Context(), home, later.principal(), alex.next())
		require.NoError(o, err)
		later.ticket = ticket
		require.Equal(o, StagePassword, later.principal().Stage)
		_, err = o.one.StepUp(o.Context(), home, later.principal(), alex.next())
		o.refused(err, "session_stage")
		require.NoError(o, change(later, goodPassword, "Tapir6-Anchor-Velvet"))
		require.Equal(o, StageFull, later.principal().Stage)

		log := o.everythingLogged()
		require.NotContains(o, log, "Tapir6")
		require.NotContains(o, log, "Lemur")
		rows := o.logged("operator.password")
		require.Equal(o, audit.OK, rows[0].Result)
		require.Equal(o, "alex", rows[0].Target)
	})
}
