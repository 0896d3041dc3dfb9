package meta_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// Whoever writes the count of references: the time beside it is that of the write that made it zero, and 0 while there are
// some. Each case begins with a blob of two assets and a stamp of long ago.
func TestTimeSinceWhichNobodyRefersToABlob(t *testing.T) {
	const long = 7
	type on struct {
		meta.Tenant
		tx     *meta.Tx
		digest string
		assets []string
	}
	remove := func(t *testing.T, b on, i int) { _, err := b.DeleteAsset(b.assets[i]); require.NoError(t, err) }
	lose := func(t *testing.T, b on, i int) {
		_, err := b.tx.Exec("DELETE FROM assets WHERE id = ?", b.assets[i])
		require.NoError(t, err)
	}
	cases := []struct {
		name  string
		write func(t *testing.T, b on)
		refs  int64
		// deleted says that the deletion of an asset left the blob.
		deleted bool
	}{
		{"linked", func(t *testing.T, b on) { _, err := b.LinkBlob(b.digest); require.NoError(t, err) }, 3, false},
		{"one deleted", func(t *testing.T, b on) { remove(t, b, 0) }, 1, false},
		{"all deleted", func(t *testing.T, b on) { remove(t, b, 0); remove(t, b, 1) }, 0, true},
		{"set to some", func(t *testing.T, b on) { require.NoError(t, b.SetReferences(b.digest, 0, 5)) }, 5, false},
		{"set to none", func(t *testing.T, b on) { require.NoError(t, b.SetReferences(b.digest, 0, 0)) }, 0, false},
		{"counted", func(t *testing.T, b on) { require.NoError(t, b.CountReferences()) }, 2, false},
		{"counted when all were lost", func(t *testing.T, b on) {
			lose(t, b, 0)
			lose(t, b, 1)
			require.NoError(t, b.CountReferences())
		}, 0, false},
		{"counted when one was deleted and one was lost since", func(t *testing.T, b on) {
			remove(t, b, 0)
			lose(t, b, 1)
			require.NoError(t, b.CountReferences())
		}, 0, false},
		{"counted when all were deleted", func(t *testing.T, b on) {
			remove(t, b, 0)
			remove(t, b, 1)
			require.NoError(t, b.CountReferences())
		}, 0, true},
	}
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		for i, c := range cases {
			id, digest := metatest.Tenant(t, db, 1000), strings.Repeat(string(rune('a'+i)), 64)
			inTx(t, db, func(tx *meta.Tx) error {
				b := on{tx.Tenant(id), tx, digest, nil}
				row := newBlob(digest)
				row.Refs, row.UnreferencedAt = 2, long
				_, err := b.CreateBlob(row)
				require.NoError(t, err)
				for range 2 {
					a := newAsset(c.name, digest)
					require.NoError(t, b.CreateAsset(a))
					b.assets = append(b.assets, a.ID)
				}
				c.write(t, b)
				after, err := b.Blob(digest)
				require.NoError(t, err)
				require.Equal(t, c.refs, after.Refs, c.name)
				require.Equal(t, c.refs > 0, after.UnreferencedAt == 0, "%s: %d", c.name, after.UnreferencedAt)
				require.NotEqual(t, meta.Stamp(long), after.UnreferencedAt, c.name)
				if c.refs == 0 {
					deleted, err := b.LeftByDeletion(after)
					require.NoError(t, err)
					require.Equal(t, c.deleted, deleted, c.name)
				}
				return nil
			})
		}
	})
}
