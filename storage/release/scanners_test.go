package release_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/release"
)

// says is what a worker tells of its scanner, as of so long ago.
func (s shop) says(f meta.ScannerFact, ago time.Duration) {
	s.t.Helper()
	f.CheckedAt = meta.Now().Add(-ago)
	f.NextCheck = f.CheckedAt.Add(30 * time.Second)
	require.NoError(s.t, s.db.SetScanner(ctx, f))
}

// TestAllScannersHaveTheDatabaseOfTheVerdict: it does not matter which worker has told last.
func TestAllScannersHaveTheDatabaseOfTheVerdict(t *testing.T) {
	onEach(t, func(s shop) {
		s.in(func(tx *meta.Tx) error {
			_, err := tx.Exec("DELETE FROM facts")
			return err
		})
		same := meta.ScannerFact{Host: "host-a", Ready: true, Database: signatures}
		again := meta.ScannerFact{Host: "host-b", Ready: true, Database: signatures}
		other := meta.ScannerFact{Host: "host-b", Ready: true, Database: "daily-2"}
		unready := meta.ScannerFact{Host: "host-b", Problem: "connection refused", Database: signatures}
		tests := strings.Replace(signatures, "daily", "test-signatures:", 1)
		id, _ := s.draft("1.0.0")
		ask := release.Ask{ReleaseID: id, Percentage: 100}
		for _, told := range [][]meta.ScannerFact{
			{same, other}, {other, same}, {same, unready}, {unready, same},
			{same, {Host: "host-b", Ready: true, Database: tests, TestSignatures: true}}, {{Host: "host-b", Ready: true, Database: tests, TestSignatures: true}, same},
		} {
			want := "scanners_disagree"
			if told[0].Problem != "" || told[1].Problem != "" {
				want = "scanner_unready"
			}
			s.says(same, 0)
			s.says(again, 0)
			x, err := release.Examine(ctx, s.db, s.zones, ask)
			require.NoError(s.t, err)
			require.Empty(s.t, x.Problems)
			for _, f := range told {
				s.says(f, 0)
			}
			_, err = s.try(id, 100)
			refusedWith(s.t, err, storage.CodeReleaseNotPublishable, want)
			err = s.db.InTx(ctx, func(tx *meta.Tx) error { // they began to differ while the bytes were read
				_, err := release.Publish(tx, alex, x)
				return err
			})
			refusedWith(s.t, err, storage.CodeReleaseNotPublishable, want)

			x, err = release.Look(ctx, s.db, ask)
			require.NoError(s.t, err)
			require.Len(s.t, x.Problems, 1, "it is told once")
			require.Empty(s.t, x.Problems[0].Artifact)
		}
		require.Empty(s.t, s.published())
		require.Empty(s.t, s.records("asset.rescan"))

		// A worker that is gone does not hold releases up for long.
		s.says(other, 2*time.Minute)
		s.publish(id, 10)
		s.says(other, 0)
		_, err := release.SetPercentage(ctx, s.db, alex, id, 20)
		refusedWith(s.t, err, storage.CodeReleaseNotPublishable, "scanners_disagree")

		// Nor does its word stand for those of others.
		s.says(same, 2*time.Minute)
		s.says(other, 2*time.Minute)
		_, err = release.SetPercentage(ctx, s.db, alex, id, 20)
		refusedWith(s.t, err, storage.CodeReleaseNotPublishable, "scanner_silent")
		s.says(meta.ScannerFact{Ready: true, Database: "daily-2"}, 0) // of a host without a name
		s.says(again, 0)
		s.says(meta.ScannerFact{Ready: true, Database: "daily-2"}, 0)
		_, err = release.SetPercentage(ctx, s.db, alex, id, 20)
		refusedWith(s.t, err, storage.CodeReleaseNotPublishable, "scanners_disagree")
	})
}
