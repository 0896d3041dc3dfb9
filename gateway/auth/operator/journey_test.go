package operator

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
)

// From the link to a full session, with everything that must not work on the way.
func TestFromLinkToFullSession(t *testing.T) {
	each(t, func(o *office) {
		ctx := o.Context()
		v, link, err := o.one.CreateOperator(ctx, audit.CLI, "new here", " Alex ", Super)
		require.NoError(o, err)
		require.Equal(o, "alex", v.Name)
		_, err = o.two.Login(ctx, home, "alex", "")
		o.refused(err, "login_failed")

		_, err = o.one.SetUp(ctx, home, link, "P@ssw0rd123!")
		o.refused(err, "password_common")
		first, err := o.two.SetUp(ctx, home, link, goodPassword)
		require.NoError(o, err, "a password that was refused leaves the link as it is")
		require.Equal(o, StageEnroll, first.Principal.Stage)
		_, err = o.one.SetUp(ctx, home, link, "Another9-Walrus-Tango")
		o.refused(err, "link_invalid")

		p, csrf, err := o.two.Session(ctx, first.Token)
		require.NoError(o, err)
		require.Equal(o, first.CSRF, csrf)
		_, err = o.one.Verify(ctx, home, p, "123456")
		o.refused(err, "session_stage")
		_, err = o.one.StepUp(ctx, home, p, "123456")
		o.refused(err, "session_stage")
		_, err = o.one.ChangePassword(ctx, home, p, goodPassword, "Another9-Walrus-Tango")
		o.refused(err, "session_stage")
		_, _, err = o.one.ConfirmTOTP(ctx, home, p, "123456")
		o.refused(err, "enroll_first")

		alex := &person{o: o, id: v.ID, name: "alex", ticket: first}
		alex.enroll()
		require.Len(o, alex.recovery, 10)
		require.Equal(o, StageFull, alex.ticket.Principal.Stage)
		require.Equal(o, o.now().UnixMicro(), alex.principal().SteppedUp.UnixMicro())
		require.NotEqual(o, first.Token, alex.ticket.Token)
		require.NotEqual(o, first.CSRF, alex.ticket.CSRF)
		_, _, err = o.two.Session(ctx, first.Token)
		o.refused(err, "session_missing")

		again := alex.login()
		require.Equal(o, StageVerify, again.ticket.Principal.Stage)
		_, err = o.one.Verify(ctx, home, again.principal(), alex.code())
		o.refused(err, "code_wrong") // the one that set it up
		before := again.ticket.Token
		again.ticket, err = o.one.Verify(ctx, home, again.principal(), alex.next())
		require.NoError(o, err)
		require.Equal(o, StageFull, again.principal().Stage)
		_, _, err = o.one.Session(ctx, before)
		o.refused(err, "session_missing")
		_, err = o.one.StepUp(ctx, home, again.principal(), alex.code())
		o.refused(err, "code_wrong") // the one that verified

		o.pass(10 * time.Minute)
		require.Greater(o, o.now().Sub(again.principal().SteppedUp), StepUpAge)
		before = again.ticket.Token
		again.ticket, err = o.two.StepUp(ctx, home, again.principal(), alex.code())
		require.NoError(o, err)
		require.Zero(o, o.now().Sub(again.principal().SteppedUp).Truncate(time.Millisecond))
		_, _, err = o.one.Session(ctx, before)
		o.refused(err, "session_missing")

		list, err := o.one.Sessions(ctx, v.ID)
		require.NoError(o, err)
		require.Len(o, list, 2)
		require.NoError(o, o.one.Logout(ctx, home, again.principal()))
		_, _, err = o.one.Session(ctx, again.ticket.Token)
		o.refused(err, "session_ended")

		for action, results := range map[string]string{
			"operator.create": "ok", "operator.login": "ok refused", "operator.setup": "refused ok refused", "operator.enroll": "ok",
			"operator.verify": "ok refused", "operator.step_up": "ok refused", "operator.logout": "ok",
		} {
			var got []string
			for _, r := range o.logged(action) {
				got = append(got, r.Result)
				require.NotEmpty(o, r.ActorKind)
			}
			require.Equal(o, results, strings.Join(got, " "), action)
		}
		log := o.everythingLogged()
		for _, secret := range append(alex.recovery, goodPassword, "P@ssw0rd123!", link, alex.secret, first.Token, alex.ticket.Token, again.ticket.CSRF) {
			require.NotContains(o, log, secret)
		}
	})
}

// What the database holds opens nothing.
func TestNothingAtRestLetsAnybodyIn(t *testing.T) {
	each(t, func(o *office) {
		alex := o.hire("alex", Super)
		maker := alex.principal()
		_, token, err := o.one.CreateToken(o.Context(), maker, maker.Actor(), "", NewToken{Name: "ci", Role: Ops, ExpiresAt: o.now().Add(time.Hour)})
		require.NoError(o, err)
		var all strings.Builder
		tables, err := meta.Tables()
		require.NoError(o, err)
		for _, table := range tables {
			if !strings.HasPrefix(table.Name, "operator") {
				continue
			}
			for _, column := range table.Columns() {
				require.NoError(o, o.db.InTx(o.Context(), func(tx *meta.Tx) error {
					var values []string
					_, err := tx.Scan(&values, "SELECT "+column+" FROM "+table.Name)
					all.WriteString(strings.Join(values, "\n") + "\n")
					return err
				}), table.Name)
			}
		}
		stored := all.String()
		require.Contains(o, stored, "alex")
		for _, secret := range append(alex.recovery, goodPassword, alex.secret, alex.ticket.Token, alex.ticket.CSRF, token, strings.ReplaceAll(alex.recovery[0], "-", "")) {
			require.NotContains(o, stored, secret)
		}
		other, err := o.db.OperatorNamed(o.Context(), "alex")
		require.NoError(o, err)
		_, err = o.one.secrets.open("somebody else", other.TOTPSecret)
		require.ErrorContains(o, err, "does not open")
	})
}
