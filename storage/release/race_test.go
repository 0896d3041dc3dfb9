package release_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/release"
)

// TestOfTwoWhoPublishAtOnceOneWins: both have examined their draft when the first of them switches.
func TestOfTwoWhoPublishAtOnceOneWins(t *testing.T) {
	onEach(t, func(s shop) {
		for round := range 8 { // in the first, nothing is published yet
			var seen []*release.Examined
			for n := range 2 {
				id, _ := s.draft(fmt.Sprintf("%d.%d.0", round+1, n))
				x, err := release.Examine(ctx, s.db, s.zones, release.Ask{ReleaseID: id, Percentage: 100})
				require.NoError(s.t, err)
				require.Empty(s.t, x.Problems)
				seen = append(seen, x)
			}
			won, lost := race(s, seen)
			require.Len(s.t, won, 1)
			require.Len(s.t, lost, 1)
			refusedWith(s.t, lost[0], storage.CodeReleasePublishedConflict, "published_meanwhile")
			require.Equal(s.t, won[0], s.published())
			require.Len(s.t, s.records("release.publish"), round+1)
			s.onePublished()
		}
	})
}

// TestOneDraftIsPublishedOnce: two publish the same draft.
func TestOneDraftIsPublishedOnce(t *testing.T) {
	onEach(t, func(s shop) {
		id, _ := s.draft("1.0.0")
		var seen []*release.Examined
		for range 2 {
			x, err := release.Examine(ctx, s.db, s.zones, release.Ask{ReleaseID: id, Percentage: 100})
			require.NoError(s.t, err)
			seen = append(seen, x)
		}
		won, lost := race(s, seen)
		require.Len(s.t, won, 1)
		refusedWith(s.t, lost[0], storage.CodeReleasePublishedConflict, "published_meanwhile")
		require.Len(s.t, s.records("release.publish"), 1)
	})
}

// race lets all switch at once.
func race(s shop, seen []*release.Examined) (won []string, lost []error) {
	var mu sync.Mutex
	var all sync.WaitGroup
	start := make(chan struct{})
	for _, x := range seen {
		all.Go(func() {
			<-start
			var r meta.ClientRelease
			err := s.db.InTx(ctx, func(tx *meta.Tx) (err error) {
				r, err = release.Publish(tx, alex, x)
				return err
			})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				lost = append(lost, err)
			} else {
				won = append(won, r.Version)
			}
		})
	}
	close(start)
	all.Wait()
	return won, lost
}

func (s shop) onePublished() {
	s.t.Helper()
	list, err := s.db.Releases(ctx, meta.ReleaseFilter{State: string(release.Published)}, "", 10)
	require.NoError(s.t, err)
	require.Len(s.t, list, 1)
}

// TestWhoNamesWhatHeSawReplacesNothingElse: one behind the other, and still only one wins.
func TestWhoNamesWhatHeSawReplacesNothingElse(t *testing.T) {
	onEach(t, func(s shop) {
		one, _ := s.draft("1.0.0")
		two, _ := s.draft("2.0.0")
		none := ""
		ask := release.Ask{ReleaseID: one, Percentage: 100, Replaces: &none}
		_, err := release.Switch(ctx, s.db, s.zones, alex, ask)
		require.NoError(s.t, err)
		ask.ReleaseID = two
		_, err = release.Switch(ctx, s.db, s.zones, alex, ask)
		refusedWith(s.t, err, storage.CodeReleasePublishedConflict, "replaces")
		ask.Replaces = &one
		_, err = release.Switch(ctx, s.db, s.zones, alex, ask)
		require.NoError(s.t, err)
		require.Equal(s.t, "2.0.0", s.published())
	})
}

// TestRollbackAndPublicationAtOnce: the figures that were told before a rollback are of what it replaces.
func TestRollbackAndPublicationAtOnce(t *testing.T) {
	onEach(t, func(s shop) {
		one, _ := s.draft("1.0.0")
		two, _ := s.draft("2.0.0")
		three, _ := s.draft("3.0.0")
		s.publish(one, 100)
		s.publish(two, 100)
		var seen []*release.Examined
		for _, ask := range []release.Ask{{ReleaseID: one, Percentage: 100, Back: true}, {ReleaseID: three, Percentage: 100}} {
			x, err := release.Examine(ctx, s.db, s.zones, ask)
			require.NoError(s.t, err)
			seen = append(seen, x)
		}
		won, lost := race(s, seen)
		require.Len(s.t, won, 1)
		refusedWith(s.t, lost[0], storage.CodeReleasePublishedConflict, "published_meanwhile")
		require.Equal(s.t, won[0], s.published())
		s.onePublished()
	})
}

var errCrash = errors.New("the program ends here")

// TestACrashLeavesTheOldOne: the transaction ends before its commit, or the caller gives up in front of it or within it.
func TestACrashLeavesTheOldOne(t *testing.T) {
	onEach(t, func(s shop) {
		one, _ := s.draft("1.0.0")
		two, digest := s.draft("2.0.0")
		s.publish(one, 100)
		before := s.row(two)
		x, err := release.Examine(ctx, s.db, s.zones, release.Ask{ReleaseID: two, Percentage: 100})
		require.NoError(s.t, err)
		untouched := func() {
			s.t.Helper()
			require.Equal(s.t, "1.0.0", s.published())
			require.Equal(s.t, before, s.row(two))
			require.Equal(s.t, string(release.Published), s.row(one).State)
			require.Len(s.t, s.records("release.publish"), 1)
			var n int64
			s.in(func(tx *meta.Tx) error {
				_, err := tx.Scan(&n, "SELECT COUNT(*) FROM release_digests WHERE sha256 = ?", digest)
				return err
			})
			require.Zero(s.t, n)
		}
		require.ErrorIs(s.t, s.db.InTx(ctx, func(tx *meta.Tx) error {
			_, err := release.Publish(tx, alex, x)
			require.NoError(s.t, err)
			return errCrash
		}), errCrash)
		untouched()

		gone, cancel := context.WithCancel(ctx)
		require.Error(s.t, s.db.InTx(gone, func(tx *meta.Tx) error {
			_, err := release.Publish(tx, alex, x)
			cancel()
			return err
		}))
		untouched()
		_, err = release.Switch(gone, s.db, s.zones, alex, release.Ask{ReleaseID: two, Percentage: 100})
		require.Error(s.t, err)
		untouched()
		s.publish(two, 100)
	})
}

// TestAPublicationIsCutOffAtAnyMoment: its caller gives up at once, then later and later, until the publication is through. It is done
// whole or not at all.
func TestAPublicationIsCutOffAtAnyMoment(t *testing.T) {
	onEach(t, func(s shop) {
		one, _ := s.draft("1.0.0")
		two, _ := s.draft("2.0.0")
		s.publish(one, 100)
		before := s.row(two)
		ask := release.Ask{ReleaseID: two, Percentage: 100}
		x, err := release.Examine(ctx, s.db, s.zones, ask)
		require.NoError(s.t, err)
		cut := 0
		for wait := time.Duration(0); s.published() == "1.0.0"; wait += 150 * time.Microsecond {
			require.Equal(s.t, before, s.row(two))
			require.Equal(s.t, string(release.Published), s.row(one).State)
			require.Len(s.t, s.records("release.publish"), 1)
			soon, cancel := context.WithTimeout(ctx, wait)
			err := s.db.InTx(soon, func(tx *meta.Tx) error {
				_, err := release.Publish(tx, alex, x)
				return err
			})
			cancel()
			if err != nil {
				cut++
			}
		}
		require.NotZero(s.t, cut)
		require.Equal(s.t, string(release.Published), s.row(two).State)
		require.Equal(s.t, string(release.Superseded), s.row(one).State)
		require.Len(s.t, s.records("release.publish"), 2)
	})
}

// TestATableRefusesItsWrite: nothing has changed then.
func TestATableRefusesItsWrite(t *testing.T) {
	onEach(t, func(s shop) {
		one, _ := s.draft("1.0.0")
		two, _ := s.draft("2.0.0")
		s.publish(one, 100)
		for _, table := range []string{"release_digests", "audit_log"} {
			s.rename(table, table+"_away")
			_, err := s.try(two, 100)
			s.rename(table+"_away", table)
			require.Error(s.t, err, table)
			require.Empty(s.t, storage.CodeOf(err), table)
			require.Equal(s.t, "1.0.0", s.published(), table)
			require.Equal(s.t, string(release.Draft), s.row(two).State, table)
			require.Equal(s.t, string(release.Published), s.row(one).State, table)
		}
		s.publish(two, 100)
	})
}

func (s shop) rename(from, to string) {
	s.t.Helper()
	_, err := s.db.Exec(ctx, "ALTER TABLE "+from+" RENAME TO "+to)
	require.NoError(s.t, err)
}

// TestAVerdictOrADeletionUnderWayIsWaitedFor: its transaction is open when the release is published, and what it did counts.
func TestAVerdictOrADeletionUnderWayIsWaitedFor(t *testing.T) {
	onEach(t, func(s shop) {
		old, _ := s.draft("1.0.0")
		s.publish(old, 100)
		next := 1
		for reason, do := range map[string]func(tx *meta.Tx, digest, asset string) error{
			"infected": func(tx *meta.Tx, digest, _ string) error {
				_, err := tx.Exec("UPDATE blobs SET scan_status = 'infected', zone = 'quarantine', revision = revision + 1 WHERE sha256 = ?", digest)
				return err
			},
			"asset_deleted": func(tx *meta.Tx, _, asset string) error {
				_, err := tx.Exec("UPDATE assets SET state = 'deleted', revision = revision + 1 WHERE id = ?", asset)
				return err
			},
		} {
			next++
			id, digest := s.draft(fmt.Sprintf("%d.0.0", next))
			x, err := release.Examine(ctx, s.db, s.zones, release.Ask{ReleaseID: id, Percentage: 100})
			require.NoError(s.t, err)
			begun, ended := make(chan struct{}), make(chan error, 1)
			go func() {
				var once sync.Once
				ended <- s.db.InTx(ctx, func(tx *meta.Tx) error {
					err := do(tx, digest, x.Files[0].AssetID)
					once.Do(func() { close(begun) })
					time.Sleep(200 * time.Millisecond) // the other is at the lock by then, most of the time
					return err
				})
			}()
			<-begun
			err = s.db.InTx(ctx, func(tx *meta.Tx) error {
				_, err := release.Publish(tx, alex, x)
				return err
			})
			refusedWith(s.t, err, storage.CodeReleaseNotPublishable, reason)
			require.NoError(s.t, <-ended)
			require.Equal(s.t, "1.0.0", s.published())
		}
	})
}

// TestNobodyFallsBackOnWhatIsArchivedMeanwhile: a release is published while the one that it would fall back on is archived.
func TestNobodyFallsBackOnWhatIsArchivedMeanwhile(t *testing.T) {
	onEach(t, func(s shop) {
		for round := range 6 {
			first, _ := s.draft(fmt.Sprintf("%d.0.0", 3*round+1))
			second, _ := s.draft(fmt.Sprintf("%d.0.0", 3*round+2))
			third, _ := s.draft(fmt.Sprintf("%d.0.0", 3*round+3))
			s.publish(first, 100)
			s.publish(second, 100)
			_, err := release.Unpublish(ctx, s.db, alex, second)
			require.NoError(s.t, err)
			x, err := release.Examine(ctx, s.db, s.zones, release.Ask{ReleaseID: third, Percentage: 10})
			require.NoError(s.t, err)
			archived := make(chan error, 1)
			go func() {
				_, err := release.Archive(ctx, s.db, alex, first)
				archived <- err
			}()
			won, lost := race(s, []*release.Examined{x})
			require.Empty(s.t, lost)
			require.Len(s.t, won, 1)
			if err := <-archived; err != nil {
				refusedWith(s.t, err, storage.CodeConflict, "release_fallback")
				require.Equal(s.t, first, s.row(third).FallbackID)
			} else {
				require.NotEqual(s.t, first, s.row(third).FallbackID)
			}
			_, err = release.Unpublish(ctx, s.db, alex, third)
			require.NoError(s.t, err)
		}
	})
}
