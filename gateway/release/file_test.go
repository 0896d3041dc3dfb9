package release_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
	releases "gatehouse/storage/release"
)

const setup = "feed/stable/win32/x64/1.0.0/App%20Setup%201.0.0.exe"

// file publishes a release with one installer of n bytes, and gives them.
func (r *rig) file(n int) []byte {
	content := random(n, uint64(n))
	r.publish(win, "1.0.0", nil, upload{releases.Installer, "App Setup 1.0.0.exe", content})
	return content
}

func TestFilesAndTheirRanges(t *testing.T) {
	const piece = releases.PieceBytes
	r := newRig(t, metatest.SQLite(t))
	content := r.file(5*piece + 1234)
	whole := r.get(setup)
	require.Equal(t, 200, whole.status)
	require.True(t, bytes.Equal(content, whole.body))
	etag := `"` + digestOf(content) + `"`
	for name, value := range map[string]string{
		"ETag": etag, "Accept-Ranges": "bytes", "Cache-Control": "public, no-cache", "Content-Type": "application/octet-stream",
		"Content-Disposition": `attachment; filename="App Setup 1.0.0.exe"`, "X-Content-Type-Options": "nosniff",
	} {
		require.Equal(t, value, whole.header.Get(name), name)
	}
	require.True(t, bytes.Equal(content, r.get("feed/stable/win32/x64/App%20Setup%201.0.0.exe").body), "the flat address")

	for _, x := range [][2]int{{0, 1}, {0, piece}, {piece - 1, 2}, {piece, piece}, {piece + 1, 3 * piece}, {5 * piece, 1234}, {5*piece + 1233, 1}, {17, len(content) - 17}} {
		first, n := x[0], x[1]
		got := r.get(setup, "Range", fmt.Sprintf("bytes=%d-%d", first, first+n-1))
		require.Equal(t, 206, got.status)
		require.Equal(t, fmt.Sprintf("bytes %d-%d/%d", first, first+n-1, len(content)), got.header.Get("Content-Range"))
		require.True(t, bytes.Equal(content[first:first+n], got.body), x)
	}
	require.Equal(t, content[len(content)-5:], r.get(setup, "Range", "bytes=-5").body)
	require.Equal(t, 416, r.get(setup, "Range", fmt.Sprintf("bytes=%d-", len(content))).status)

	require.Equal(t, 206, r.get(setup, "Range", "bytes=0-9", "If-Range", etag).status)
	require.Equal(t, 200, r.get(setup, "Range", "bytes=0-9", "If-Range", `"other"`).status)
	require.Equal(t, 200, r.get(setup, "Range", "bytes=0-9", "If-Range", "W/"+etag).status)
	require.Equal(t, 304, r.get(setup, "If-None-Match", etag).status)
	require.Equal(t, 412, r.get(setup, "If-Match", `"other"`).status)
	head := r.ask(http.MethodHead, setup)
	require.Equal(t, 200, head.status)
	require.Equal(t, fmt.Sprint(len(content)), head.header.Get("Content-Length"))
	require.Zero(t, r.mismatches.Load())
}

// As electron-updater asks: up to a thousand ranges, a comma and a space between them.
func TestAThousandRangesAtOnce(t *testing.T) {
	r := newRig(t, metatest.SQLite(t))
	content := r.file(40 << 20)
	for name, step := range map[string]int{"far apart": 41_000, "close together": 40_000 - 300, "side by side": 30_011} {
		t.Run(name, func(t *testing.T) {
			length := 20_011
			if name == "side by side" {
				length = step
			}
			var spans [][2]int
			var header []string
			for at := 3; len(spans) < 1000; at += step {
				spans = append(spans, [2]int{at, at + length})
				header = append(header, fmt.Sprintf("%d-%d", at, at+length-1))
			}
			got := r.get(setup, "Range", "bytes="+strings.Join(header, ", "))
			require.NoError(t, got.err)
			require.Equal(t, 206, got.status)
			kind, params, err := mime.ParseMediaType(got.header.Get("Content-Type"))
			require.NoError(t, err)
			require.Equal(t, "multipart/byteranges", kind)
			parts := multipart.NewReader(bytes.NewReader(got.body), params["boundary"])
			for i, span := range spans {
				part, err := parts.NextPart()
				require.NoError(t, err)
				require.Equal(t, fmt.Sprintf("bytes %d-%d/%d", span[0], span[1]-1, len(content)), part.Header.Get("Content-Range"))
				body, err := io.ReadAll(part)
				require.NoError(t, err)
				require.True(t, bytes.Equal(content[span[0]:span[1]], body), "part %d", i)
			}
			_, err = parts.NextPart()
			require.ErrorIs(t, err, io.EOF)
		})
	}
	// The longest that electron-updater writes for a file below 10 GB: 1,000 ranges of ten digits each are 24 KB.
	wide := make([]string, 1000)
	for i := range wide {
		wide[i] = fmt.Sprintf("%010d-%010d", i*41_000, i*41_000+9)
	}
	require.Equal(t, 206, r.get(setup, "Range", "bytes="+strings.Join(wide, ", ")).status)
}

func TestFilesByTheirAddresses(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		r := newRig(t, db)
		exe := func(content string) upload { return upload{releases.Installer, "App.exe", []byte(content)} }
		beta := releases.Track{Channel: "beta", Platform: "win32", Arch: "x64"}
		r.publish(win, "1.0.0", func(row *meta.ClientRelease) { superseded(row); row.PublishedAt = 100 }, exe("one"), upload{releases.Blockmap, "App.exe.blockmap", []byte("blockmap one")})
		r.publish(win, "1.1.0", func(row *meta.ClientRelease) { superseded(row); row.State = "unpublished"; row.PublishedAt = 200 }, exe("two"))
		r.publish(win, "1.2.0", func(row *meta.ClientRelease) { superseded(row); row.State = "archived"; row.PublishedAt = 300 }, exe("three"))
		r.publish(win, "1.3.0", func(row *meta.ClientRelease) { superseded(row); row.State, row.PublishedAt = "draft", 0 }, exe("draft"), upload{releases.Portable, "New.zip", []byte("new")})
		r.publish(beta, "1.4.0", nil, exe("beta"), upload{releases.Portable, "Beta.zip", []byte("beta zip")})
		r.publish(win, "1.5.0+b.1", func(row *meta.ClientRelease) { row.PublishedAt = 250 },
			upload{releases.Installer, "a b+c&d;é%41.exe", []byte("odd")}, upload{releases.Manifest, "latest.yml", []byte("manifest")})

		for path, content := range map[string]string{
			"stable/win32/x64/1.0.0/App.exe": "one", "stable/win32/x64/1.0.0/App.exe.blockmap": "blockmap one", "stable/win32/x64/1.1.0/App.exe": "two",
			"stable/win32/x64/1.2.0/App.exe": "three", "beta/win32/x64/1.4.0/App.exe": "beta", "stable/win32/x64/App.exe": "three",
			"stable/win32/x64/1.5.0+b.1/a%20b+c&d;%C3%A9%2541.exe": "odd", "stable/win32/x64/1.5.0/a%20b%2Bc%26d%3B%c3%a9%2541.exe": "odd",
			"stable/win32/x64/a%20b+c&d;%C3%A9%2541.exe": "odd", "stable/win32/x64/1.5.0+b.1/latest.yml": "manifest", "%73table/win32/x64/1.0.0/App%2Eexe": "one",
			"stable/win32/x64/App.exe.blockmap": "blockmap one",
		} {
			got := r.get("feed/" + path)
			require.Equal(t, 200, got.status, "%s: %s", path, got.body)
			require.Equal(t, content, string(got.body), path)
		}
		for _, path := range []string{
			"stable/win32/x64/1.3.0/App.exe", "stable/win32/x64/1.3.0/New.zip", "stable/win32/x64/New.zip", // a draft
			"stable/win32/x64/1.4.0/App.exe", "stable/win32/x64/1.4.0/Beta.zip", "stable/win32/x64/Beta.zip", "beta/win32/x64/1.0.0/App.exe", // other tracks
			"stable/win32/x64/1.0.0/app.exe", "stable/win32/x64/1.0.0/App.exe%20", "stable/win32/x64/1.0.0/App.exe%00", "stable/win32/x64/App.exe%20",
			"stable/win32/x64/one/App.exe", "stable/win32/x64/9.0.0/App.exe", "stable/win32/x64/1.0.0%00/App.exe", "stable/win32/x64/" + strings.Repeat("a", 300), "stable/win32/x64/1.0.0/%ff%fe",
			"stable/win32/x64/1.1.0/..%2F1.0.0%2FApp.exe.blockmap", "stable/win32/x64/..%2f..%2f..%2f..%2fetc%2fpasswd", "stable/win32/x64/..%5c..%5cApp.exe",
			"stable/win32/x64/1.0.0/%2e%2e", "stable/win32/x64/1.0.0/.", "stable/win32/x64/%2e%2e/App.exe", "stable/win32/x64/1.0.0/'%20OR%201=1%20--",
			"stable/win32/x64/1.0.0/App.exe%252e", "stable/win32/x64/1.0.0/App_exe", "stable/win32/x64/1.0.0/%25",
		} {
			r.refused(r.get("feed/"+path), 404, storage.CodeReleaseArtifactNotFound, "")
		}
		for _, path := range []string{"feed/stable/win32/x64/", "feed/stable/win32/x64/1.0.0/", "feed/stable/win32/x64/1.0.0/a/b", "feed//win32/x64/latest.yml"} {
			require.Equal(t, 404, r.get(path).status, path)
		}
	})
}

// overwrite changes bytes of the file where it lies.
func overwrite(t *testing.T, path string, at int64, with []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteAt(with, at)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

func TestASwappedFileIsRefusedBeforeItsFirstByte(t *testing.T) {
	evil := random(3*releases.PieceBytes, 99)
	for name, c := range map[string]struct {
		swap   func(path string) error
		damage string
	}{
		"other bytes":  {func(path string) error { return os.WriteFile(path, evil, 0o600) }, "digest"},
		"another file": {func(path string) error { return os.WriteFile(path+".x", evil, 0o600) }, "digest"},
		"shorter":      {func(path string) error { return os.Truncate(path, 2*releases.PieceBytes) }, "size"},
		"longer":       {func(path string) error { return os.Truncate(path, 4*releases.PieceBytes) }, "size"},
		"empty":        {func(path string) error { return os.Truncate(path, 0) }, "size"},
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			t.Run(method+" "+name, func(t *testing.T) {
				r := newRig(t, metatest.SQLite(t))
				old := r.publish(win, "0.9.0", superseded)
				content := random(3*releases.PieceBytes, 1)
				now := r.publish(win, "1.0.0", func(row *meta.ClientRelease) { row.FallbackID = old.ID }, upload{releases.Installer, "App Setup 1.0.0.exe", content})
				require.Equal(t, now.Manifest, r.manifest(early))
				require.NoError(t, c.swap(r.object(content)))
				if name == "another file" {
					require.NoError(t, os.Rename(r.object(content)+".x", r.object(content)))
				}
				got := r.ask(method, setup)
				require.Equal(t, 409, got.status)
				if method == http.MethodGet {
					r.refused(got, 409, storage.CodeAssetDamaged, "artifact_damaged")
					require.Contains(t, string(got.body), c.damage)
				}
				require.EqualValues(t, 1, r.mismatches.Load())
				require.Equal(t, old.Manifest, r.manifest(early), "the release is withdrawn at once")
				b, err := r.db.Tenant(t.Context(), releases.PlatformTenant).Blob(digestOf(content))
				require.NoError(t, err)
				require.EqualValues(t, c.damage, b.Damage)
				r.refused(r.get(setup, "Range", "bytes=5-6"), 409, storage.CodeAssetDamaged, "artifact_damaged")
				require.EqualValues(t, 1, r.mismatches.Load(), "it is not even opened")
			})
		}
	}
}

func TestALostFileIsRefusedAndNothingIsMarked(t *testing.T) {
	r := newRig(t, metatest.SQLite(t))
	content := r.file(1000)
	require.NoError(t, os.Remove(r.object(content)))
	for range 2 {
		got := r.get(setup)
		r.refused(got, 409, storage.CodeAssetDamaged, "artifact_damaged")
		require.Contains(t, string(got.body), `"damage":"missing"`)
	}
	b, err := r.db.Tenant(t.Context(), releases.PlatformTenant).Blob(digestOf(content))
	require.NoError(t, err)
	require.Empty(t, b.Damage)
}

func TestAFileWithoutDigestsIsNotServed(t *testing.T) {
	for name, sql := range map[string]string{
		"none": `DELETE FROM release_digests`, "too few": `UPDATE release_digests SET digests = ''`, "no Base64": `UPDATE release_digests SET digests = '!'`,
		"pieces too large": `UPDATE release_digests SET piece_bytes = 1073741824`,
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, metatest.SQLite(t))
			r.file(1000)
			r.set(sql)
			require.GreaterOrEqual(t, r.get(setup).status, 400)
			require.GreaterOrEqual(t, r.ask(http.MethodHead, setup).status, 400)
		})
	}
}

// The list of a large file is hundreds of KiB: an answer without bytes does not read it.
func TestAnswersWithoutBytesAskForNoDigests(t *testing.T) {
	r := newRig(t, metatest.SQLite(t))
	etag := `"` + digestOf(r.file(1000)) + `"`
	r.set(`UPDATE release_digests SET digests = '!'`)
	require.Equal(t, 304, r.get(setup, "If-None-Match", etag).status)
	require.Equal(t, 412, r.get(setup, "If-Match", `"other"`).status)
	require.Equal(t, 416, r.get(setup, "Range", "bytes=1000-").status)
	require.GreaterOrEqual(t, r.get(setup).status, 500)
}

// A client that reads slowly while the object is changed gets a beginning of the right bytes, and nothing else.
func TestAFileThatIsSwappedWhileItIsSent(t *testing.T) {
	const size = 48 << 20 // more than the sockets hold
	for name, c := range map[string]struct {
		swap     func(t *testing.T, path string)
		complete bool
	}{
		"in place":  {func(t *testing.T, path string) { overwrite(t, path, size/2, random(size/2, 7)) }, false},
		"one bit":   {func(t *testing.T, path string) { overwrite(t, path, size-1, []byte{0xa5}) }, false},
		"truncated": {func(t *testing.T, path string) { require.NoError(t, os.Truncate(path, size/2)) }, false},
		"by a file": {func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(path+".x", random(size, 8), 0o600))
			require.NoError(t, os.Rename(path+".x", path))
		}, true},
		"left alone": {func(*testing.T, string) {}, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, metatest.SQLite(t))
			content := r.file(size)
			require.NotEqual(t, byte(0xa5), content[size-1])
			resp, err := http.Get(r.url + setup)
			require.NoError(t, err)
			defer resp.Body.Close()
			require.Equal(t, 200, resp.StatusCode)
			got := make([]byte, 1<<20)
			_, err = io.ReadFull(resp.Body, got)
			require.NoError(t, err)
			c.swap(t, r.object(content))
			rest, err := io.ReadAll(resp.Body)
			got = append(got, rest...)
			require.True(t, bytes.Equal(content[:len(got)], got), "a byte of another file was sent")
			if c.complete {
				require.NoError(t, err)
				require.Len(t, got, size)
				return
			}
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			require.Less(t, len(got), size)
			require.Zero(t, len(got)%releases.PieceBytes)
			require.NotZero(t, r.mismatches.Load())
			require.Eventually(t, func() bool {
				b, err := r.db.Tenant(context.Background(), releases.PlatformTenant).Blob(digestOf(content))
				return err == nil && b.Damage != ""
			}, 10*time.Second, 5*time.Millisecond)
			require.Equal(t, none, r.manifest(early))
			log, err := r.db.Unsealed(t.Context(), 0, 10)
			require.NoError(t, err)
			require.Len(t, log, 1)
			require.Equal(t, "blob.damage", log[0].Action)
			require.Equal(t, digestOf(content), log[0].Target)
		})
	}
}

// elsewhere is a store some of whose answers are of the right length and of another place.
type elsewhere struct {
	blob.Bucket
	wrong int // answers to come
}

func (e *elsewhere) Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, blob.Info, error) {
	if e.wrong > 0 {
		e.wrong--
		offset++
	}
	return e.Bucket.Open(ctx, key, offset, length)
}

func TestAStoreThatAnswersOtherRanges(t *testing.T) {
	r := newRig(t, metatest.SQLite(t))
	content := r.file(3 * releases.PieceBytes)
	store := &elsewhere{r.zones.Clean, 1}
	r.api.Zones = &blob.Zones{Clean: store}
	const from, to = releases.PieceBytes + 1000, 2*releases.PieceBytes + 1000
	asked := fmt.Sprintf("bytes=%d-%d", from, to)
	got := r.get(setup, "Range", asked)
	require.Equal(t, 206, got.status)
	require.True(t, bytes.Equal(content[from:to+1], got.body), "what was wrong once is read again")
	require.EqualValues(t, 1, r.mismatches.Load())
	store.wrong = 2
	r.refused(r.get(setup, "Range", asked), 409, storage.CodeAssetDamaged, "artifact_damaged")
}

// interrupted is a store whose connection breaks in the middle of what is asked for, as often as it is tried.
type interrupted struct {
	blob.Bucket
	err error
}

func (i *interrupted) Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, blob.Info, error) {
	body, info, err := i.Bucket.Open(ctx, key, offset, length)
	if err != nil {
		return nil, info, err
	}
	head, err := io.ReadAll(io.LimitReader(body, releases.PieceBytes+1000))
	return io.NopCloser(io.MultiReader(bytes.NewReader(head), iotest.ErrReader(i.err))), info, errors.Join(err, body.Close())
}

func TestAnInterruptedStoreIsNoDamage(t *testing.T) {
	r := newRig(t, metatest.SQLite(t))
	content := random(3*releases.PieceBytes, 1)
	now := r.publish(win, "1.0.0", nil, upload{releases.Installer, "App Setup 1.0.0.exe", content})
	store := &interrupted{Bucket: r.zones.Clean}
	r.api.Zones = &blob.Zones{Clean: store}
	for _, cause := range []error{blob.ErrUnavailable, context.Canceled} {
		store.err = fmt.Errorf("%w (%w)", cause, io.ErrUnexpectedEOF)
		got := r.get(setup)
		require.Equal(t, 200, got.status)
		require.ErrorIs(t, got.err, io.ErrUnexpectedEOF)
		require.True(t, bytes.Equal(content[:releases.PieceBytes], got.body))
	}
	require.Zero(t, r.mismatches.Load())
	b, err := r.db.Tenant(t.Context(), releases.PlatformTenant).Blob(digestOf(content))
	require.NoError(t, err)
	require.Empty(t, b.Damage)
	require.Equal(t, now.Manifest, r.manifest(early), "it is offered as before")
	r.api.Forget()
	require.Equal(t, now.Manifest, r.manifest(early))
}
