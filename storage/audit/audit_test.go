package audit_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// TestManyRecordsAtOnce: databases bound the parameters of a statement.
func TestManyRecordsAtOnce(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		const n = 7000
		var list []audit.Entry
		for i := range n {
			list = append(list, entry("x", fmt.Sprint(i)))
		}
		require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error { return audit.WriteAll(tx, list) }))
		got := targets(t, db, 0, n+1)
		require.Len(t, got, n)
		require.Equal(t, "0", got[0])
		require.Equal(t, fmt.Sprint(n-1), got[n-1])
	})
}
