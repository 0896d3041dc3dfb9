package operator

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
)

// from gives each attempt an address of its own, so that only the account's lock decides.
func from(i int) Caller {
	return Caller{Address: netip.AddrFrom4([4]byte{10, 1, byte(i / 250), byte(i % 250)})}
}

// A hundred guesses at once on two gateways get five verdicts.
func TestBruteForceAcrossGatewaysGetsFiveVerdicts(t *testing.T) {
	each(t, func(o *office) {
		alex := o.hire("alex", Super)
		for _, name := range []string{"alex", "nobody"} {
			errs := o.atOnce(100, func(d *Desk, i int) error {
				_, err := d.Login(o.Context(), from(i), name, fmt.Sprint("Wrong-Guess-", i))
				return err
			})
			require.Equal(o, 5, o.count(errs, "login_failed"), name)
			require.Equal(o, 95, o.count(errs, "login_locked"), name)
		}
		_, err := o.two.Login(o.Context(), from(200), "alex", goodPassword)
		o.refused(err, "login_locked")
		e := &storage.Error{}
		require.ErrorAs(o, err, &e)
		require.EqualValues(o, 900, e.Details["retry_after"])
		alex.ticket, err = o.one.StepUp(o.Context(), from(201), alex.principal(), alex.next())
		require.NoError(o, err) // strangers do not lock out who is in
		_, err = o.two.Login(o.Context(), from(200), "alex", goodPassword)
		o.refused(err, "login_locked") // and get no new guesses by it

		v, err := o.one.Operator(o.Context(), "alex")
		require.NoError(o, err)
		require.NotNil(o, v.LockedUntil)
		rows := o.logged("operator.login")
		require.Len(o, rows, 12, "five failures and one record of the lock, for each name")

		o.pass(15 * time.Minute)
		_, err = o.two.Login(o.Context(), from(200), "alex", goodPassword)
		require.NoError(o, err)
	})
}

// Whoever knows the password must not get new guesses at the second factor by logging in again.
func TestThePasswordBuysNoGuessesAtTheSecondFactor(t *testing.T) {
	each(t, func(o *office) {
		alex := o.hire("alex", Super)
		wrong := 0
		for i := range 20 {
			s, err := o.two.Login(o.Context(), from(i), "alex", goodPassword)
			require.NoError(o, err) // the password is right; that counts apart
			_, err = o.one.Verify(o.Context(), from(i), &s.Principal, "000000x")
			if reason(o, err) == "code_wrong" {
				wrong++
			} else {
				o.refused(err, "login_locked")
			}
		}
		require.Equal(o, 5, wrong)
		_, err := o.one.Unlock(o.Context(), audit.CLI, "it was me", "alex")
		require.NoError(o, err)
		s, err := o.two.Login(o.Context(), home, "alex", goodPassword)
		require.NoError(o, err)
		kinds := []func() error{
			func() error { _, err := o.one.Verify(o.Context(), home, &s.Principal, "x"); return err },
			func() error { _, err := o.one.Recover(o.Context(), home, &s.Principal, "x"); return err },
			func() error { _, err := o.one.StepUp(o.Context(), home, alex.principal(), "x"); return err },
			func() error { _, err := o.one.Recover(o.Context(), home, &s.Principal, "y"); return err },
			func() error {
				_, err := o.one.ChangePassword(o.Context(), home, alex.principal(), "x", "Other8-Lemur-Piano")
				return err
			},
		}
		for _, try := range kinds {
			require.NotEqual(o, "login_locked", reason(o, try()))
		}
		for _, try := range kinds {
			o.refused(try(), "login_locked")
		}
	})
}

func TestAddressIsLockedAcrossNames(t *testing.T) {
	each(t, func(o *office) {
		alex := o.hire("alex", Super)
		at := func(i int) Caller { // one customer's /64
			a := netip.MustParseAddr("2001:db8:1:2::").As16()
			a[15] = byte(i)
			return Caller{Address: netip.AddrFrom16(a)}
		}
		for i := range 30 { // right ones do not count
			_, err := o.one.Login(o.Context(), at(i), "alex", goodPassword)
			require.NoError(o, err)
		}
		errs := o.atOnce(60, func(d *Desk, i int) error {
			_, err := d.Login(o.Context(), at(i), fmt.Sprint("name", i), "x")
			return err
		})
		require.Equal(o, 20, o.count(errs, "login_failed"))
		require.Equal(o, 40, o.count(errs, "login_locked"))
		_, err := o.one.Login(o.Context(), at(99), "alex", goodPassword)
		o.refused(err, "login_locked")
		_, err = o.one.SetUp(o.Context(), at(99), "x", goodPassword)
		o.refused(err, "login_locked")
		_, err = o.one.Login(o.Context(), Caller{Address: netip.MustParseAddr("2001:db8:1:3::1")}, "alex", goodPassword)
		require.NoError(o, err)
		o.pass(59 * time.Minute)
		_, err = o.one.Login(o.Context(), at(99), "alex", goodPassword)
		o.refused(err, "login_locked")
		o.pass(time.Minute)
		_, err = o.one.Login(o.Context(), at(99), "alex", goodPassword)
		require.NoError(o, err)
		_ = alex
	})
}

func TestNoCodeWorksTwice(t *testing.T) {
	each(t, func(o *office) {
		alex := o.hire("alex", Super)
		var sessions []*Principal
		for range 6 {
			s := alex.login()
			sessions = append(sessions, &s.ticket.Principal)
		}
		// Refused ones count as failures; four others at once stay below the lock.
		code := alex.next()
		errs := o.atOnce(5, func(d *Desk, i int) error { _, err := d.Verify(o.Context(), from(i), sessions[i], code); return err })
		require.Equal(o, 1, o.count(errs, ""), "%v", errs)
		require.Equal(o, 4, o.count(errs, "code_wrong"))
		_, err := o.one.Unlock(o.Context(), audit.CLI, "", "alex")
		require.NoError(o, err)
		_, err = o.two.Verify(o.Context(), home, sessions[5], code)
		o.refused(err, "code_wrong")

		var full []*Principal
		for range 5 {
			s := alex.full()
			full = append(full, s.principal())
		}
		code = alex.next()
		errs = o.atOnce(5, func(d *Desk, i int) error { _, err := d.StepUp(o.Context(), from(i), full[i], code); return err })
		require.Equal(o, 1, o.count(errs, ""), "%v", errs)
		require.Equal(o, 4, o.count(errs, "code_wrong"))
	})
}

func TestEnrolmentIsWonByOne(t *testing.T) {
	each(t, func(o *office) {
		_, link, err := o.one.CreateOperator(o.Context(), audit.CLI, "", "alex", Ops)
		require.NoError(o, err)
		first, err := o.one.SetUp(o.Context(), home, link, goodPassword)
		require.NoError(o, err)
		second, err := o.one.Login(o.Context(), home, "alex", goodPassword)
		require.NoError(o, err)
		require.Equal(o, StageEnroll, second.Principal.Stage)
		tickets := []Ticket{first, second}
		var codes []string
		for _, s := range tickets {
			e, err := o.one.BeginTOTP(o.Context(), home, &s.Principal)
			require.NoError(o, err)
			codes = append(codes, (&person{o: o, secret: e.Secret}).code())
		}
		errs := o.atOnce(8, func(d *Desk, i int) error {
			_, _, err := d.ConfirmTOTP(o.Context(), from(i), &tickets[i%2].Principal, codes[i%2])
			return err
		})
		require.Equal(o, 1, o.count(errs, ""), "%v", errs)
	})
}

func TestRecoveryCodesAndLinksWorkOnce(t *testing.T) {
	each(t, func(o *office) {
		alex := o.hire("alex", Super)
		device := alex.secret
		var sessions []*Principal
		for range 5 {
			s := alex.login()
			sessions = append(sessions, &s.ticket.Principal)
		}
		tickets := make([]Ticket, 5)
		errs := o.atOnce(5, func(d *Desk, i int) (err error) {
			tickets[i], err = d.Recover(o.Context(), from(i), sessions[i], alex.recovery[3])
			return err
		})
		require.Equal(o, 1, o.count(errs, ""), "%v", errs)
		_, err := o.one.Unlock(o.Context(), audit.CLI, "", "alex")
		require.NoError(o, err)
		_, _, err = o.two.Session(o.Context(), alex.ticket.Token)
		o.refused(err, "session_ended") // the old device's sessions

		// The owner left before a new device was set up: a password alone leads nowhere.
		again := alex.login()
		require.Equal(o, StageVerify, again.ticket.Principal.Stage)
		_, err = o.one.Verify(o.Context(), home, again.principal(), alex.next())
		o.refused(err, "code_wrong")
		_, err = o.one.Recover(o.Context(), home, again.principal(), alex.recovery[3])
		o.refused(err, "code_wrong")
		again.ticket, err = o.one.Recover(o.Context(), home, again.principal(), " "+alex.recovery[4]+" ")
		require.NoError(o, err)
		require.Equal(o, StageEnroll, again.principal().Stage)
		again.enroll()
		require.NotEqual(o, device, again.secret)
		later := again.login()
		_, err = o.one.Recover(o.Context(), home, later.principal(), alex.recovery[5])
		o.refused(err, "code_wrong") // those of the old device are gone

		_, link, err := o.one.ResetAccess(o.Context(), audit.CLI, "phone lost", "alex")
		require.NoError(o, err)
		errs = o.atOnce(10, func(d *Desk, i int) error {
			_, err := d.SetUp(o.Context(), from(i), link, fmt.Sprintf("Lemur%d-Quartz-Banjo", i))
			return err
		})
		require.Equal(o, 1, o.count(errs, ""), "%v", errs)
		require.Equal(o, 9, o.count(errs, "link_invalid"))
	})
}

// One of two supers stays, whoever takes whom away.
func TestTheLastSuperStays(t *testing.T) {
	each(t, func(o *office) {
		for round := range 5 {
			names := []string{fmt.Sprint("a", round, "x"), fmt.Sprint("b", round, "x")}
			for _, name := range names {
				_, _, err := o.one.CreateOperator(o.Context(), audit.CLI, "", name, Super)
				require.NoError(o, err)
			}
			errs := o.atOnce(2, func(d *Desk, i int) (err error) {
				if i == 0 {
					_, err = d.SetRole(o.Context(), audit.CLI, "", names[0], Auditor)
				} else {
					_, err = d.Deactivate(o.Context(), audit.CLI, "", names[1])
				}
				return err
			})
			require.Equal(o, 1, o.count(errs, ""), "%v", errs)
			require.Equal(o, 1, o.count(errs, "last_super"))
			// For the next round: nobody is left.
			require.NoError(o, o.db.InTx(o.Context(), func(tx *meta.Tx) error {
				_, err := tx.Exec("UPDATE operators SET role = 'auditor'")
				return err
			}))
		}
	})
}
