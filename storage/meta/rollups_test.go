package meta_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// told writes records of the audit log, past its package, which meta does not know.
func told(t *testing.T, db *meta.DB, list ...meta.AuditRecord) {
	t.Helper()
	require.NoError(t, db.InTx(context.Background(), func(tx *meta.Tx) error {
		for i := range list {
			if list[i].Data == "" {
				list[i].Data = "{}"
			}
		}
		return tx.Create(&list)
	}))
}

// sealed gives the records that have no seal their places in the chain; package audit does it with hashes.
func sealed(t *testing.T, db *meta.DB) {
	t.Helper()
	ctx := context.Background()
	list, err := db.Unsealed(ctx, 0, 1000)
	require.NoError(t, err)
	head, err := db.AuditHead(ctx)
	if errors.Is(err, storage.ErrNotFound) {
		require.NoError(t, db.InTx(ctx, func(tx *meta.Tx) error {
			_, err := tx.BeginChain(meta.AuditChain{ChainID: "one", FirstSeq: 1, PrevHash: "0"}, nil)
			return err
		}))
		head, err = db.AuditHead(ctx)
	}
	require.NoError(t, err)
	var seals []meta.AuditSeal
	for i, r := range list {
		seals = append(seals, meta.AuditSeal{Seq: head.Seq + int64(i) + 1, RecordID: r.ID, Hash: fmt.Sprint(r.ID)})
	}
	require.NoError(t, db.InTx(ctx, func(tx *meta.Tx) error {
		won, err := tx.AppendSeals(head, seals)
		require.True(t, won)
		return err
	}))
}

func facts(t *testing.T, data map[string]any) string {
	t.Helper()
	raw, err := json.Marshal(data)
	require.NoError(t, err)
	return string(raw)
}

func TestRollUp(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		ctx := context.Background()
		tenant, gone := metatest.Tenant(t, db, 1000), metatest.Tenant(t, db, 1000)
		_, err := db.Exec(ctx, `UPDATE tenants SET state = ? WHERE id = ?`, storage.TenantDeleted, gone)
		require.NoError(t, err)
		now := meta.Now()
		const hour = meta.Stamp(3600 * 1e6)
		upload := meta.AuditRecord{At: now, TenantID: tenant, Action: "asset.upload", Result: "ok"}
		one, two, refused, verdict, old := upload, upload, upload, upload, upload
		one.Data, two.Data = facts(t, map[string]any{"size": 10}), facts(t, map[string]any{"size": 5, "duplicate": true})
		one.At = now - 2*hour
		refused.Result, refused.Code = "refused", "TYPE_MISMATCH"
		verdict.Action, verdict.Data = "scan.verdict", facts(t, map[string]any{"status": "infected"})
		old.At = now - 401*24*hour
		purged := upload
		purged.TenantID = gone
		told(t, db, old, one, two, refused, verdict, purged,
			meta.AuditRecord{At: now, ActorKind: "key", TenantID: tenant, Action: "asset.delete", Result: "ok"},
			meta.AuditRecord{At: now, TenantID: tenant, Action: "tenant.suspend", Result: "ok"})
		n, err := db.RollUp(ctx, 3)
		require.NoError(t, err)
		require.Zero(t, n, "nothing is sealed")
		sealed(t, db)
		for _, want := range []int{3, 5, 0} {
			n, err = db.RollUp(ctx, max(want, 1))
			require.NoError(t, err)
			require.Equal(t, want, n)
		}

		list, err := db.Stats(ctx, (now - 24*hour).Hour(), now.Hour())
		require.NoError(t, err)
		require.Equal(t, []meta.Stat{
			{"deletes", "key", 1, 1}, {"refusals", "TYPE_MISMATCH", 1, 1}, {"upload_bytes", "duplicate", 5, 5}, {"upload_bytes", "new", 0, 10},
			{"uploads", "duplicate", 1, 1}, {"uploads", "new", 1, 2}, {"verdicts", "infected", 1, 1},
		}, list)
		did, err := db.ActivityOf(ctx, []string{tenant, gone}, (now - 48*hour).Day())
		require.NoError(t, err)
		require.Equal(t, map[string]meta.TenantDay{tenant: {TenantID: tenant, Uploads: 2, Bytes: 15, Refusals: 1, Rejected: 1}}, did)

		told(t, db, meta.AuditRecord{At: now - hour, TenantID: tenant, Action: "asset.upload", Result: "ok"})
		sealed(t, db)
		_, err = db.RollUp(ctx, 100)
		require.NoError(t, err)
		var last int64
		require.NoError(t, db.InTx(ctx, func(tx *meta.Tx) error {
			_, err := tx.Scan(&last, `SELECT last_upload_at FROM tenant_activity WHERE tenant_id = ?`, tenant)
			return err
		}))
		require.EqualValues(t, now, last, "an older record takes nothing back")

		require.NoError(t, db.ForgetRollups(ctx, now+402*24*hour))
		list, err = db.Stats(ctx, 0, 0)
		require.NoError(t, err)
		require.Empty(t, list)
	})
}

// Workers that count at once count nothing twice, and leave nothing out.
func TestRollUpByManyAtOnce(t *testing.T) {
	metatest.EachTwice(t, func(t *testing.T, one, two *meta.DB) {
		ctx := context.Background()
		tenant := metatest.Tenant(t, one, 1000)
		list := make([]meta.AuditRecord, 300)
		for i := range list {
			list[i] = meta.AuditRecord{At: meta.Now(), TenantID: tenant, Action: "asset.upload", Result: "ok"}
		}
		told(t, one, list...)
		sealed(t, one)
		var g errgroup.Group
		for i := range 4 {
			g.Go(func() error {
				db := []*meta.DB{one, two}[i%2]
				for {
					if n, err := db.RollUp(ctx, 7); n == 0 || err != nil {
						return err
					}
				}
			})
		}
		require.NoError(t, g.Wait())
		stats, err := one.Stats(ctx, 0, 0)
		require.NoError(t, err)
		require.Equal(t, []meta.Stat{{"upload_bytes", "new", 0, 0}, {"uploads", "new", 300, 300}}, stats)
	})
}

// A position in another log, or behind the end of this one, is none: what a restore has brought back is counted anew.
func TestRollUpAfterARestore(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		ctx := context.Background()
		tenant := metatest.Tenant(t, db, 1000)
		upload := func(at meta.Stamp) {
			told(t, db, meta.AuditRecord{At: at, TenantID: tenant, Action: "asset.upload", Result: "ok"})
			sealed(t, db)
		}
		now := meta.Now()
		for range 3 {
			upload(now)
		}
		uploads := func() int64 {
			_, err := db.RollUp(ctx, 100)
			require.NoError(t, err)
			stats, err := db.Stats(ctx, 0, 0)
			require.NoError(t, err)
			require.Equal(t, "uploads", stats[1].Metric)
			return stats[1].Total
		}
		require.EqualValues(t, 3, uploads())
		for _, position := range []string{"", "1 two", "4 one", "x", "0 one", "2"} {
			require.NoError(t, db.SetFact(ctx, "rollups", position))
			require.EqualValues(t, 3, uploads(), position)
		}
		head, err := db.AuditHead(ctx)
		require.NoError(t, err)
		require.NoError(t, db.InTx(ctx, func(tx *meta.Tx) error {
			_, err := tx.BeginChain(meta.AuditChain{ChainID: "two", FirstSeq: 4, PrevHash: head.Hash}, &head)
			return err
		}))
		require.EqualValues(t, 3, uploads(), "the end of the chain before is a place of this log")
		upload(now)
		require.EqualValues(t, 4, uploads())
		fact, err := db.FactByName(ctx, "rollups")
		require.NoError(t, err)
		require.Equal(t, "4 two", fact.Value)
		require.NoError(t, db.SetFact(ctx, "rollups", "4 one"))
		require.EqualValues(t, 4, uploads(), "that chain did not go so far here")
	})
}

// Data that is none stays in the log for ever: the record is counted for what its columns say, and those behind it are counted too.
func TestRollUpGoesOnBehindOddData(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		ctx := context.Background()
		tenant := metatest.Tenant(t, db, 1000)
		upload := meta.AuditRecord{At: meta.Now(), TenantID: tenant, Action: "asset.upload", Result: "ok"}
		verdict := meta.AuditRecord{At: meta.Now(), TenantID: tenant, Action: "scan.verdict", Result: "ok"}
		var list []meta.AuditRecord
		for _, data := range []string{"no JSON", `{"size":9223372036854775807}`, `{"size":-5}`, `{"size":"x"}`, "[]", `{"size":7}`} {
			upload.Data = data
			list = append(list, upload)
		}
		for _, status := range []string{strings.Repeat("x", 65), "\x00"} {
			verdict.Data = facts(t, map[string]any{"status": status})
			list = append(list, verdict)
		}
		told(t, db, list...)
		sealed(t, db)
		n, err := db.RollUp(ctx, 100)
		require.NoError(t, err)
		require.Len(t, list, n)
		stats, err := db.Stats(ctx, 0, 0)
		require.NoError(t, err)
		require.Equal(t, []meta.Stat{{"upload_bytes", "new", 7, 7}, {"uploads", "new", 6, 6}, {"verdicts", "", 2, 2}}, stats)
	})
}
