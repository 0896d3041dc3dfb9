package blobtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"gatehouse/storage/blob"
)

func (s *suite) list(t *testing.T) {
	t.Run("order of whole keys", s.order)
	t.Run("10,000 keys", s.tenThousand)
}

func collect(t *testing.T, b blob.Bucket, prefix, after string) []string {
	t.Helper()
	var keys []string
	for info, err := range b.List(t.Context(), prefix, after) {
		require.NoError(t, err)
		keys = append(keys, info.Key)
	}
	return keys
}

// seed puts one-byte objects, many at once.
func seed(t *testing.T, b blob.Bucket, keys []string) {
	t.Helper()
	g, ctx := errgroup.WithContext(t.Context())
	g.SetLimit(64)
	for _, k := range keys {
		g.Go(func() error { return b.Put(ctx, k, bytes.NewReader([]byte("x")), 1, blob.PutOptions{}) })
	}
	require.NoError(t, g.Wait())
}

// order holds names where the order of folders differs from the order of keys: "-" and "." sort before "/",
// digits and letters behind it.
func (s *suite) order(t *testing.T) {
	base := tenant()
	keys := []string{
		base + "/a-b/x", base + "/a.b/x", base + "/a/x", base + "/a/y/z", base + "/a/y-z", base + "/a/y.z", base + "/a0/x", base + "/aa",
		base + "/A/x", base + "/_/x", base + "/-/x", base + "/a.b-", base + "/b",
		base + "-2/x", base + ".2/x", base + "2/x", base + "/a-b/x.y", // neighbours whose id begins alike
	}
	seed(t, s.zones.Clean, keys)
	slices.Sort(keys)
	var mine []string
	for _, k := range keys {
		if k[len(base)] == '/' {
			mine = append(mine, k)
		}
	}
	require.Equal(t, mine, collect(t, s.zones.Clean, base+"/", ""))
	for i, k := range mine {
		require.Equal(t, mine[i+1:], append([]string{}, collect(t, s.zones.Clean, base+"/", k)...), "after %s", k)
	}
	require.Equal(t, []string{base + "/a/x", base + "/a/y-z", base + "/a/y.z", base + "/a/y/z"}, collect(t, s.zones.Clean, base+"/a/", ""))
	require.Equal(t, mine, collect(t, s.zones.Clean, base+"/", "0"), "a cursor before the prefix")
	require.Equal(t, mine[1:], collect(t, s.zones.Clean, base+"/", mine[0]))
	require.Empty(t, collect(t, s.zones.Clean, base+"/", "zzz"), "a cursor behind the prefix")
	require.Empty(t, collect(t, s.zones.Clean, base+"/none/", ""))
	require.Empty(t, collect(t, s.zones.Clean, base+"/b/", ""), "an object is no folder")
	require.Empty(t, collect(t, s.zones.Quarantine, base+"/", ""), "the other zone")

	whole := collect(t, s.zones.Clean, "", "")
	require.True(t, slices.IsSorted(whole))
	require.Equal(t, keys, keep(whole, keys))
}

func (s *suite) tenThousand(t *testing.T) {
	id := tenant()
	neighbours := []string{id + "0", id + "-x", id + ".x"}
	var keys, others []string
	for i := range 10_000 {
		sum := sha256.Sum256(fmt.Appendf(nil, "%d", i))
		name := hex.EncodeToString(sum[:])
		if i%10 == 0 { // a tenth of them are variants beside their original
			keys = append(keys, fmt.Sprintf("%s/%s/%s.w640.webp", id, name[:2], name))
		} else {
			keys = append(keys, fmt.Sprintf("%s/%s/%s", id, name[:2], name))
		}
	}
	for _, n := range neighbours {
		others = append(others, n+"/00/"+keys[0][len(id)+4:], n+"/ff/"+keys[1][len(id)+4:])
	}
	seed(t, s.zones.Quarantine, slices.Concat(keys, others))
	slices.Sort(keys)
	t.Run("in order, without neighbours", func(t *testing.T) {
		require.True(t, slices.Equal(keys, collect(t, s.zones.Quarantine, id+"/", "")))
	})
	t.Run("a part", func(t *testing.T) {
		want := slices.DeleteFunc(slices.Clone(keys), func(k string) bool { return k[len(id):len(id)+4] != "/7f/" })
		require.True(t, slices.Equal(want, collect(t, s.zones.Quarantine, id+"/7f/", "")))
	})
	t.Run("in pages, resumed after the last key", func(t *testing.T) { s.pages(t, id+"/", keys) })
	t.Run("after a key that is gone", func(t *testing.T) {
		require.NoError(t, s.zones.Quarantine.Delete(t.Context(), keys[5000]))
		got := collect(t, s.zones.Quarantine, id+"/", keys[5000])
		require.True(t, slices.Equal(keys[5001:], got))
	})
	t.Run("cancelled in the middle", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		seen, last := 0, error(nil)
		for _, err := range s.zones.Quarantine.List(ctx, id+"/", "") {
			if last = err; err == nil {
				seen++
			}
			cancel()
		}
		require.ErrorIs(t, last, context.Canceled)
		require.Less(t, seen, len(keys)-1)
	})
}

func (s *suite) pages(t *testing.T, prefix string, keys []string) {
	const page = 1777
	var got []string
	for after := ""; ; after = got[len(got)-1] {
		n := 0
		for info, err := range s.zones.Quarantine.List(t.Context(), prefix, after) {
			require.NoError(t, err)
			got = append(got, info.Key)
			if n++; n == page {
				break
			}
		}
		if n < page {
			break
		}
	}
	require.True(t, slices.Equal(keys, got))
}
