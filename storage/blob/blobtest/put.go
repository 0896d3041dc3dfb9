package blobtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"gatehouse/storage/blob"
)

func (s *suite) put(t *testing.T) {
	t.Run("every kind of reader and size", s.putReaders)
	t.Run("overwrite", s.overwrite)
	t.Run("64 MiB", s.large)
	t.Run("a bad reader leaves nothing", s.badReaders)
	t.Run("cancel in the middle leaves nothing", s.cancelled)
	t.Run("legal keys", s.legalKeys)
	t.Run("illegal keys", s.illegalKeys)
}

func (s *suite) putReaders(t *testing.T) {
	dir := t.TempDir()
	for _, size := range []int{0, 1, 100, 64 << 10, 64<<10 + 1, 1 << 20, 5<<20 + 3} {
		data := noise(1, size)
		name := filepath.Join(dir, "spool")
		require.NoError(t, os.WriteFile(name, append([]byte("skipped"), data...), 0o600))
		file, err := os.Open(name)
		require.NoError(t, err)
		_, err = file.Seek(int64(len("skipped")), io.SeekStart) // a put begins where the reader stands
		require.NoError(t, err)
		for _, r := range []io.Reader{
			bytes.NewReader(data), plain{bytes.NewReader(data)}, file,
			struct{ io.ReadSeeker }{bytes.NewReader(data)}, // no ReaderAt
			iotest.DataErrReader(plain{bytes.NewReader(data)}), iotest.HalfReader(plain{bytes.NewReader(data)}),
		} {
			k := key()
			require.NoError(t, s.zones.Clean.Put(t.Context(), k, r, int64(size), blob.PutOptions{ContentType: "image/webp"}))
			require.True(t, bytes.Equal(data, get(t, s.zones.Clean, k)), "%T of %d bytes", r, size)
		}
		require.NoError(t, file.Close())
	}
}

func (s *suite) overwrite(t *testing.T) {
	k := key()
	for _, data := range [][]byte{noise(1, 300<<10), noise(2, 10), noise(3, 2<<20), {}, noise(4, 11)} {
		put(t, s.zones.Quarantine, k, data)
		require.True(t, bytes.Equal(data, get(t, s.zones.Quarantine, k)))
	}
}

func (s *suite) large(t *testing.T) {
	data := noise(5, 64<<20)
	k := key()
	require.NoError(t, s.zones.Quarantine.Put(t.Context(), k, plain{bytes.NewReader(data)}, int64(len(data)), blob.PutOptions{}))
	body, info, err := s.zones.Quarantine.Open(t.Context(), k, 0, -1)
	require.NoError(t, err)
	require.EqualValues(t, len(data), info.Size)
	hash := sha256.New()
	_, err = io.Copy(hash, body)
	require.NoError(t, err)
	require.NoError(t, body.Close())
	want := sha256.Sum256(data)
	require.Equal(t, want[:], hash.Sum(nil))
}

func (s *suite) badReaders(t *testing.T) {
	broken := errors.New("the client went away")
	for _, size := range []int{1, 100, 64 << 10, 3 << 20} {
		data := noise(6, size)
		half := data[:size/2]
		cases := []struct {
			name string
			r    io.Reader
			want error
		}{
			{"short", plain{bytes.NewReader(half)}, blob.ErrSize},
			{"short, seekable", bytes.NewReader(half), blob.ErrSize},
			{"long by a byte", plain{bytes.NewReader(append(data[:size:size], 'x'))}, blob.ErrSize},
			{"long, seekable", bytes.NewReader(append(data[:size:size], data...)), blob.ErrSize},
			{"fails midway", &failing{Reader: plain{bytes.NewReader(half)}, err: broken}, broken},
			{"fails instead of ending", &failing{Reader: plain{bytes.NewReader(data)}, err: broken}, broken},
			{"fails at once", iotest.ErrReader(broken), broken},
		}
		for _, c := range cases {
			k := key()
			err := s.zones.Quarantine.Put(t.Context(), k, c.r, int64(size), blob.PutOptions{})
			require.ErrorIs(t, err, c.want, "%s, %d bytes", c.name, size)
			require.NotErrorIs(t, err, blob.ErrUnavailable, "%s: not worth another try", c.name)
			absent(t, s.zones.Quarantine, k)
		}
	}
	k := key()
	put(t, s.zones.Quarantine, k, []byte("before"))
	require.ErrorIs(t, s.zones.Quarantine.Put(t.Context(), k, strings.NewReader("x"), 0, blob.PutOptions{}), blob.ErrSize)
	require.ErrorIs(t, s.zones.Quarantine.Put(t.Context(), k, plain{strings.NewReader("x")}, 0, blob.PutOptions{}), blob.ErrSize)
	require.ErrorIs(t, s.zones.Quarantine.Put(t.Context(), k, strings.NewReader("x"), -1, blob.PutOptions{}), blob.ErrSize)
	require.ErrorIs(t, s.zones.Quarantine.Put(t.Context(), k, plain{strings.NewReader("abc")}, 4, blob.PutOptions{}), blob.ErrSize)
	require.Equal(t, "before", string(get(t, s.zones.Quarantine, k)), "a failed overwrite changes nothing")
}

func (s *suite) cancelled(t *testing.T) {
	const size = 2 << 20
	for _, before := range []string{"", "what was there"} {
		k := key()
		if before != "" {
			put(t, s.zones.Quarantine, k, []byte(before))
		}
		ctx, cancel := context.WithCancel(t.Context())
		// Half of the bytes, then the cancel, then the other half as if nothing had happened.
		first := &failing{Reader: bytes.NewReader(noise(7, size/2)), hook: cancel, err: io.EOF}
		r := io.MultiReader(first, bytes.NewReader(noise(8, size/2)))
		err := s.zones.Quarantine.Put(ctx, k, r, size, blob.PutOptions{})
		require.ErrorIs(t, err, context.Canceled)
		require.NotErrorIs(t, err, blob.ErrUnavailable)
		if before == "" {
			absent(t, s.zones.Quarantine, k)
		} else {
			require.True(t, before == string(get(t, s.zones.Quarantine, k)), "a cancelled overwrite changes nothing")
		}
		cancel()
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	k := key()
	require.ErrorIs(t, s.zones.Quarantine.Put(ctx, k, strings.NewReader("x"), 1, blob.PutOptions{}), context.Canceled)
	absent(t, s.zones.Quarantine, k)
}

func (s *suite) legalKeys(t *testing.T) {
	folder := tenant()
	keys := []string{
		folder + "/" + blob.KeyChars[:len(blob.KeyChars)-3] + "._-",
		folder + "/-leading-dash", folder + "/_x", folder + "/trailing.", folder + "/a..b", folder + "/UPPER", folder + "/upper",
		folder + "/" + strings.Repeat("n", blob.MaxSegmentBytes),
		folder + "/deep" + strings.Repeat("/d", blob.MaxSegments-2),
		folder + "-toplevel",
	}
	for _, c := range blob.KeyChars {
		keys = append(keys, folder+"/chars/x"+string(c))
	}
	long := folder + "/" + strings.Repeat("a", 200) + "/" + strings.Repeat("b", 200) + "/"
	keys = append(keys, long+strings.Repeat("c", blob.MaxKeyBytes-len(long)))
	for _, k := range keys {
		put(t, s.zones.Clean, k, []byte(k))
	}
	for _, k := range keys {
		require.Equal(t, k, string(get(t, s.zones.Clean, k)))
	}
	require.ElementsMatch(t, keys[:9], keep(collect(t, s.zones.Clean, folder+"/", ""), keys[:9]))
	for _, k := range keys {
		require.NoError(t, s.zones.Clean.Delete(t.Context(), k))
		absent(t, s.zones.Clean, k)
	}
	require.Empty(t, collect(t, s.zones.Clean, folder+"/", ""))
}

// keep returns the keys that are also in wanted.
func keep(keys, wanted []string) []string {
	set := make(map[string]bool, len(wanted))
	for _, k := range wanted {
		set[k] = true
	}
	var out []string
	for _, k := range keys {
		if set[k] {
			out = append(out, k)
		}
	}
	return out
}

// Illegal holds keys that every driver refuses in every method.
var Illegal = []string{
	"", "/", "a/", "/a", "a//b", ".", "..", "../a", "a/../b", "a/..", "a/.", "./a", ".hidden", "a/.hidden", ".tmp/x",
	"a b", "a\x00b", "a\nb", `a\b`, "a:b", "a*b", "a?b", "a%2fb", "a+b", "a=b", "a~b", "a@b", "ä", "日本", "a\xffb", "a/\u202eb",
	strings.Repeat("n", blob.MaxSegmentBytes+1), strings.Repeat("d/", blob.MaxSegments) + "d",
	strings.Repeat(strings.Repeat("k", 99)+"/", 5) + strings.Repeat("k", 13),
}

func (s *suite) illegalKeys(t *testing.T) {
	b := s.zones.Clean
	for _, k := range Illegal {
		require.ErrorIs(t, b.Put(t.Context(), k, strings.NewReader("x"), 1, blob.PutOptions{}), blob.ErrKey, "%q", k)
		_, _, err := b.Open(t.Context(), k, 0, -1)
		require.ErrorIs(t, err, blob.ErrKey, "%q", k)
		_, err = b.Stat(t.Context(), k)
		require.ErrorIs(t, err, blob.ErrKey, "%q", k)
		require.ErrorIs(t, b.Delete(t.Context(), k), blob.ErrKey, "%q", k)
		require.ErrorIs(t, b.CopyFrom(t.Context(), s.zones.Quarantine, k, "t/ab/k"), blob.ErrKey, "%q", k)
		require.ErrorIs(t, b.CopyFrom(t.Context(), s.zones.Quarantine, "t/ab/k", k), blob.ErrKey, "%q", k)
		if k != "" {
			require.ErrorIs(t, listError(t, b, "", k), blob.ErrKey, "cursor %q", k)
			require.ErrorIs(t, listError(t, b, k+"/", ""), blob.ErrKey, "prefix %q", k)
		}
	}
	require.ErrorIs(t, listError(t, b, "tenant", ""), blob.ErrKey, "a prefix without its slash lists neighbours")
	require.ErrorIs(t, listError(t, b, "/", ""), blob.ErrKey)
}

// listError returns the error that a listing ends with; nothing comes before it.
func listError(t *testing.T, b blob.Bucket, prefix, after string) error {
	var last error
	for info, err := range b.List(t.Context(), prefix, after) {
		require.Error(t, err, "%s listed", info.Key)
		require.NoError(t, last, "nothing follows an error")
		last = err
	}
	return last
}
