package reconcile

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// Two programs that both want a run: one after the other, never at once, and both get theirs.
func TestTwoCommandsRunOneAfterTheOther(t *testing.T) {
	metatest.EachTwice(t, func(t *testing.T, one, two *meta.DB) {
		zones := diskZones(t)
		a := newYard(t, one, zones)
		b := newYard(t, two, zones)
		a.object(t, storage.ZoneClean, "an orphan")
		var both sync.WaitGroup
		runs := make([]meta.ReconcileRun, 2)
		for i, y := range []*yard{a, b} {
			both.Go(func() {
				var err error
				runs[i], err = y.PerformHere(ctx, func(tx *meta.Tx) (meta.ReconcileRun, error) {
					return Begin(tx, Request{Kind: meta.RunFull, By: "test", Actor: audit.CLI})
				}, func() {})
				require.NoError(t, err)
			})
		}
		both.Wait()
		require.Equal(t, meta.RunDone, runs[0].State)
		require.Equal(t, meta.RunDone, runs[1].State)
		require.NotEqual(t, runs[0].ID, runs[1].ID)
		require.EqualValues(t, 1, runs[0].Repaired+runs[1].Repaired)
		_, err := one.TaskLike(ctx, Task(""))
		require.ErrorIs(t, err, storage.ErrNotFound, "nothing is held any more")
	})
}

// A run that waits for a worker which never comes is taken up by a command.
func TestCommandTakesUpWhatWaits(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		run := y.begin(t, meta.RunFull)
		y.inTx(t, Next)
		got, err := y.PerformHere(ctx, func(tx *meta.Tx) (meta.ReconcileRun, error) {
			other, err := Begin(tx, Request{Kind: meta.RunFull})
			require.ErrorIs(t, err, ErrUnderWay)
			return other, nil
		}, func() {})
		require.NoError(t, err)
		require.Equal(t, run.ID, got.ID)
		require.Equal(t, meta.RunDone, got.State)
	})
}

// Alerts and metrics look for the last run over all tenants by what its row says of them.
func TestRunOverAllTenantsIsTheLastFullOne(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		full := y.reconcile(t, meta.RunFull)
		require.Equal(t, "[]", full.Tenants)
		y.reconcile(t, meta.RunFull, y.tenant)
		last, err := y.db.LastFullRun(ctx, meta.Now(), meta.RunDone)
		require.NoError(t, err)
		require.Equal(t, full.ID, last.ID)
	})
}

// What is asked for is what is done: a run of another kind, or over other tenants, comes to its end first.
func TestAnotherRunInTheWayIsPerformedFirst(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		y.object(t, storage.ZoneClean, "an orphan")
		waits := y.begin(t, meta.RunFull)
		var first []string
		once := func(q Request) meta.ReconcileRun {
			first = nil
			run, err := y.Once(ctx, q, func() {}, func(r meta.ReconcileRun) { first = append(first, r.ID) })
			require.NoError(t, err)
			require.Equal(t, meta.RunDone, run.State)
			return run
		}
		light := once(Request{Kind: meta.RunLight, Actor: audit.CLI})
		require.Equal(t, meta.RunLight, light.Kind)
		require.Equal(t, []string{waits.ID}, first)

		waits = y.begin(t, meta.RunFull)
		confined := once(Request{Kind: meta.RunFull, Tenants: []string{y.tenant}, Actor: audit.CLI})
		require.Contains(t, confined.Tenants, y.tenant)
		require.Equal(t, []string{waits.ID}, first)

		waits = y.begin(t, meta.RunFull)
		require.Equal(t, waits.ID, once(Request{Kind: meta.RunFull, Actor: audit.CLI}).ID)
		require.Empty(t, first, "it is what is asked for")
	})
}

// Of many that want a run at once, in two programs and without holding its task, one begins it.
func TestRunsThatBeginAtOnce(t *testing.T) {
	metatest.EachTwice(t, func(t *testing.T, one, two *meta.DB) {
		for range 5 {
			var all sync.WaitGroup
			ids := make(chan string, 8)
			for i := range cap(ids) {
				all.Go(func() {
					var run meta.ReconcileRun
					db := []*meta.DB{one, two}[i%2]
					err := db.InTx(ctx, func(tx *meta.Tx) error {
						var err error
						run, err = Begin(tx, Request{Kind: meta.RunFull, By: "test", Actor: audit.CLI})
						return err
					})
					switch {
					case err == nil:
						ids <- run.ID
					case !errors.Is(err, ErrUnderWay):
						t.Error(err)
					}
				})
			}
			all.Wait()
			close(ids)
			var begun []string
			for id := range ids {
				begun = append(begun, id)
			}
			require.Len(t, begun, 1)
			require.NoError(t, one.InTx(ctx, func(tx *meta.Tx) error { _, err := Cancel(tx, begun[0], audit.CLI, ""); return err }))
		}
	})
}

func TestTurnOfTheDay(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		take := func(due meta.Stamp) bool {
			won, err := y.db.TakeDailyTurn(ctx, "turn.test", due)
			require.NoError(t, err)
			return won
		}
		require.False(t, take(meta.Now()), "a fresh installation has nothing to catch up with")
		due := meta.Now().Add(time.Microsecond)
		time.Sleep(time.Millisecond)
		require.True(t, take(due))
		require.False(t, take(due), "one does it")
		y.exec(t, `UPDATE facts SET updated_at = ? WHERE name = 'turn.test'`, meta.Now().Add(-19*time.Hour))
		require.False(t, take(meta.Now()), "the night of another time zone is the same day's")
		y.exec(t, `UPDATE facts SET updated_at = ? WHERE name = 'turn.test'`, meta.Now().Add(-21*time.Hour))
		require.True(t, take(meta.Now()))
	})
}

func TestExportIsHarmlessInASpreadsheet(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		run := y.begin(t, meta.RunFull)
		y.inTx(t, func(tx *meta.Tx) error {
			return tx.AddFindings([]meta.ReconcileFinding{{
				ID: meta.NewID(), RunID: run.ID, TenantID: y.tenant, Kind: storage.DriftOrphan, ObjectKey: "=cmd|' /C calc'!A0", Detail: `{"size":1}`,
				State: meta.FindingOpen, FoundAt: meta.Now(),
			}})
		})
		var csv, jsonl, table strings.Builder
		require.NoError(t, y.Export(ctx, &csv, run.ID, FormatCSV, meta.FindingFilter{}))
		require.NoError(t, y.Export(ctx, &jsonl, run.ID, FormatJSONL, meta.FindingFilter{Kind: storage.DriftOrphan}))
		require.NoError(t, y.Export(ctx, &table, run.ID, FormatTable, meta.FindingFilter{Kind: storage.DriftLedger}))
		require.Contains(t, csv.String(), ",'=cmd|")
		require.Contains(t, jsonl.String(), `"detail":{"size":1}`)
		require.NotContains(t, table.String(), "cmd")
		require.Error(t, y.Export(ctx, &table, run.ID, "xml", meta.FindingFilter{}))
	})
}

func TestAssetsOfABlobAreNamedUpToABound(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		for _, content := range []string{"of many", "of one"} {
			y.upload(t, content)
		}
		first, err := y.db.Tenant(ctx, y.tenant).LiveAsset(digestOf("of many"))
		require.NoError(t, err)
		for range 4 {
			another := first
			another.ID = meta.NewID()
			y.inTx(t, func(tx *meta.Tx) error { return tx.Tenant(y.tenant).CreateAsset(&another) })
		}
		names, err := y.db.Tenant(ctx, y.tenant).AssetNames([]string{digestOf("of many"), digestOf("of one"), digestOf("of none")}, 2)
		require.NoError(t, err)
		require.Len(t, names, 2)
		require.EqualValues(t, 5, names[digestOf("of many")].Count)
		require.Len(t, names[digestOf("of many")].First, 2)
		require.Equal(t, meta.AssetName{ID: first.ID, Name: "n"}, names[digestOf("of many")].First[0])
		require.EqualValues(t, 1, names[digestOf("of one")].Count)
		require.Len(t, names[digestOf("of one")].First, 1)
	})
}

func TestExportNamesTheFilesOfABlob(t *testing.T) {
	y := newYard(t, metatest.SQLite(t), diskZones(t))
	asset := y.upload(t, "lost")
	y.lose(t, storage.ZoneQuarantine, storage.BlobKey(y.tenant, digestOf("lost")))
	y.exec(t, `UPDATE assets SET name = ?`, "=annual \t report.pdf")
	y.fitLedger(t)
	run := y.reconcile(t, meta.RunFull)
	out := map[string]string{}
	for _, format := range []string{FormatTable, FormatJSONL, FormatCSV} {
		var w strings.Builder
		require.NoError(t, y.Export(ctx, &w, run.ID, format, meta.FindingFilter{State: meta.FindingMarked}))
		out[format] = w.String()
	}
	require.Contains(t, out[FormatTable], asset+` "=annual \t report.pdf"`)
	require.Contains(t, out[FormatTable], "marked")
	require.Contains(t, out[FormatJSONL], `"assets":[{"id":"`+asset+`","name":"=annual \t report.pdf"}],"asset_count":1`)
	require.Contains(t, out[FormatCSV], asset+",'=annual")

	var w strings.Builder
	require.ErrorContains(t, y.Export(ctx, &w, run.ID, FormatTable, meta.FindingFilter{Kind: "row_without_objects"}), "asset_without_blob, digest_differs")
	require.ErrorContains(t, y.Export(ctx, &w, run.ID, FormatTable, meta.FindingFilter{State: "fixed"}), "open, repaired, marked, failed, gone")
	require.Empty(t, w.String())

	require.Equal(t, `1 "a", 2 "b", 3 "c", and 2 more`, told([]exportedAsset{{"1", "a"}, {"2", "b"}, {"3", "c"}, {"4", "d"}}, 5))
}
