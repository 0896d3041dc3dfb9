package audit_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// A record whose transaction commits after higher numbers were sealed gets the next place, and is no alarm.
func TestLateCommitIsSealed(t *testing.T) {
	metatest.EachTwice(t, func(t *testing.T, db, other *meta.DB) {
		if db.Dialect() == meta.SQLite {
			return // it has one writer: numbers come in the order of commits
		}
		l := newLog(t, db)
		l.write(1)
		numbered, commit, ended := make(chan struct{}), make(chan struct{}), make(chan error)
		go func() {
			ended <- other.InTx(context.Background(), func(tx *meta.Tx) error {
				if err := audit.Write(tx, entry("x", "late")); err != nil {
					return err
				}
				close(numbered)
				<-commit
				return nil
			})
		}()
		<-numbered
		l.write(3)
		l.seal()
		require.EqualValues(t, 4, l.whole().Records)
		close(commit)
		require.NoError(t, <-ended)
		l.whole()
		l.seal()
		require.EqualValues(t, 5, l.whole().Records)
		require.Less(t, l.id(5), l.id(4), "the late one comes last in the chain")
	})
}
