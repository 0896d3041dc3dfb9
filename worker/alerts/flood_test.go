package alerts

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// verdicts writes infected verdicts about files from..to of a tenant, as scans do.
func (b *bench) verdicts(t *testing.T, tenant string, from, to int) {
	t.Helper()
	b.inTx(t, func(tx *meta.Tx) error {
		for i := from; i < to; i++ {
			if err := audit.Write(tx, audit.Entry{Actor: audit.Worker, TenantID: tenant, Action: "scan.verdict", Target: fmt.Sprintf("%064d", i),
				Result: audit.OK, Data: map[string]any{"status": storage.ScanInfected, "signature": "Eicar"}}); err != nil {
				return err
			}
		}
		return nil
	})
}

// An attack of one tenant is one alert, and neither other tenants nor other rules wait for it.
func TestFloodOfInfectedUploads(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		r := newReceiver(t, func(w http.ResponseWriter, _ int) { fmt.Fprint(w, `{"errcode":0,"errmsg":"ok"}`) })
		b := newBench(t, db, robotAt(r.URL))
		s := b.sender(t)
		attacker, other := metatest.Tenant(t, db, 1000), metatest.Tenant(t, db, 1000)
		b.tick(t)
		down := meta.ScannerFact{Host: "host-1", Problem: "connection refused", UnreadySince: meta.StampOf(b.clock.now().Add(-time.Hour))}
		b.scannerSays(t, down)
		b.verdicts(t, attacker, 0, 5000)
		b.verdicts(t, other, 0, 1)

		list := b.openNow(t)
		require.Len(t, list, 3)
		send(t, s, "robot")
		require.Len(t, r.bodies, 1, "one message, at once")
		for _, want := range []string{"3 messages", "5000 infected files were uploaded by tenant", attacker, other, "The scanner of the worker on the host host-1"} {
			require.Contains(t, r.bodies[0], want)
		}

		// It goes on, and the log is read again, without another alert or message; the count is exact.
		for range 8 {
			b.clock.pass(time.Minute)
			b.scannerSays(t, down)
			b.tick(t)
		}
		b.verdicts(t, attacker, 5000, 5100)
		for range 8 {
			b.clock.pass(time.Minute)
			b.scannerSays(t, down)
			b.tick(t)
		}
		list = b.openNow(t)
		require.Len(t, list, 2, "the other tenant's file is gone, as all that never was there")
		require.Equal(t, attacker, list[0].Subject)
		require.Contains(t, list[0].Message, "5100 infected files")
		send(t, s, "robot")
		require.Len(t, r.bodies, 2, "what is over")

		b.clock.pass(time.Hour)
		b.scannerSays(t, down)
		require.Equal(t, "scanner", b.one(t).Rule, "over after an hour without another one")
		b.clock.pass(time.Minute)
		b.scannerSays(t, down)
		b.one(t)
	})
}

// Files that come one by one have alerts of their own until they are a flood; from then on they are counted with it.
func TestFloodThatGrows(t *testing.T) {
	db := metatest.SQLite(t)
	b := newBench(t, db, logTo("log"))
	b.only(t, "infected")
	b.tick(t)
	tenant := metatest.Tenant(t, db, 1000)
	grow := func(from, to int) {
		now := meta.Now()
		b.inTx(t, func(tx *meta.Tx) error {
			var errs []error
			for i := from; i < to; i++ {
				_, err := tx.Tenant(tenant).CreateBlob(&meta.Blob{
					SHA256: fmt.Sprintf("%064d", i), Size: 4, MediaType: "text/plain", Category: storage.CategoryDocument, Zone: storage.ZoneQuarantine,
					Refs: 1, ScanStatus: storage.ScanInfected, MediaStatus: storage.MediaNone, CreatedAt: now, UpdatedAt: now,
				})
				errs = append(errs, err)
			}
			return errors.Join(errs...)
		})
		b.verdicts(t, tenant, from, to)
	}
	grow(0, 15)
	require.Len(t, b.openNow(t), 15)
	grow(15, 20)
	require.Len(t, b.openNow(t), 20)
	b.clock.pass(2 * audit.Settles)
	require.Len(t, b.openNow(t), 20)
	require.Len(t, b.openNow(t), 20, "the log was read to its end")
	grow(20, 22)
	list := b.openNow(t)
	require.Len(t, list, 21)
	require.Contains(t, list[20].Message, "22 infected files were")
	require.Contains(t, list[20].Message, "22 are still there, in quarantine")
	require.Contains(t, list[20].Message, "`gateway asset list "+tenant+" --state rejected`")
	grow(22, 40)
	require.Contains(t, b.openNow(t)[20].Message, "40 infected files were")

	// A crash between the alert and the cursor counts nothing twice.
	before, err := db.FactByName(t.Context(), factFeed)
	require.NoError(t, err)
	b.clock.pass(2 * audit.Settles)
	b.tick(t)
	require.NoError(t, db.SetFact(t.Context(), factFeed, before.Value))
	require.Contains(t, b.openNow(t)[20].Message, "40 infected files were")

	b.exec(t, "UPDATE blobs SET refs = 0 WHERE tenant_id = ?", tenant)
	require.Len(t, b.openNow(t), 1)
	b.clock.pass(time.Hour)
	require.Empty(t, b.openNow(t))
}

// Many messages of one rule are one text, in which others are not lost, and critical ones are taken first.
func TestManyMessagesHideNoOther(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		r := newReceiver(t, errcode(0))
		b := newBench(t, db, robotAt(r.URL))
		many := func(rule string, n int, s Severity) {
			for i := range n {
				require.NoError(t, b.open(t.Context(), rule, find(fmt.Sprintf("%s-%d", rule, i), s), meta.StampOf(b.clock.now())))
			}
		}
		many("quota", 1200, Warning)
		many("dead_tasks", 1, Warning)
		many("scanner", 1, Critical)
		s := b.sender(t)
		more, err := s.Round(t.Context(), "robot")
		require.NoError(t, err)
		require.True(t, more)
		require.Contains(t, r.bodies[0], "scanner-0")
		require.Contains(t, r.bodies[0], "dead_tasks-0")
		require.Less(t, strings.Index(r.bodies[0], "scanner-0"), strings.Index(r.bodies[0], "dead_tasks-0"))
		send(t, s, "robot")
		require.Len(t, r.bodies, 2)
	})
}

func TestErrorsAreToldShortly(t *testing.T) {
	var errs []error
	require.NoError(t, joinSome([]error{nil, nil}))
	for i := range 3 {
		errs = append(errs, nil, fmt.Errorf("error %d", i))
	}
	require.EqualError(t, joinSome(errs), "error 0\nerror 1\nerror 2")
	for i := range 4997 {
		errs = append(errs, fmt.Errorf("error %d", 3+i))
	}
	require.EqualError(t, joinSome(errs), "error 0\nerror 1\nerror 2\nand 4997 more")
}
