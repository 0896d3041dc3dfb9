package audit_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

func entry(action, target string) audit.Entry {
	return audit.Entry{Actor: audit.Worker, Action: action, Target: target, Result: audit.OK}
}

func targets(t *testing.T, db *meta.DB, cursor int64, limit int) []string {
	t.Helper()
	list, err := db.AuditAfter(t.Context(), cursor, "x", limit)
	require.NoError(t, err)
	out := []string{}
	for _, r := range list {
		out = append(out, r.Target)
	}
	return out
}

// A transaction that took its number first may commit last: a reader that goes by Settled misses nothing.
func TestFeedMissesNoRecord(t *testing.T) {
	metatest.EachTwice(t, func(t *testing.T, db, other *meta.DB) {
		write := func(db *meta.DB, e audit.Entry) {
			require.NoError(t, db.InTx(context.Background(), func(tx *meta.Tx) error { return audit.Write(tx, e) }))
		}
		write(db, entry("x", "first"))
		write(db, entry("y", "another action"))
		numbered, commit, ended := make(chan struct{}), make(chan struct{}), make(chan error)
		late := func() {
			ended <- db.InTx(context.Background(), func(tx *meta.Tx) error {
				if err := audit.Write(tx, entry("x", "late")); err != nil {
					return err
				}
				close(numbered)
				<-commit
				return nil
			})
		}
		if db.Dialect() == meta.SQLite { // which has one writer: numbers come in the order of commits
			go late()
			<-numbered
			close(commit)
			require.NoError(t, <-ended)
			write(other, entry("x", "early"))
			require.Equal(t, []string{"first", "late", "early"}, targets(t, db, 0, 10))
		} else {
			go late()
			<-numbered
			write(other, entry("x", "early"))
			require.Equal(t, []string{"first", "early"}, targets(t, db, 0, 10))
			settled, err := audit.Settled(t.Context(), db, meta.Now())
			require.NoError(t, err)
			require.Zero(t, settled, "nothing is old enough to be passed")
			close(commit)
			require.NoError(t, <-ended)
			require.Equal(t, []string{"first", "late", "early"}, targets(t, db, settled, 10))
		}
		require.Equal(t, []string{"first", "late"}, targets(t, db, 0, 2))
		settled, err := audit.Settled(t.Context(), db, meta.Now().Add(audit.Settles+time.Second))
		require.NoError(t, err)
		require.Empty(t, targets(t, db, settled, 10))
	})
}
