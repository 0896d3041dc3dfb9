package e2e

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/e2e/rig"
	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/release"
)

// TestDesktopClientsUpdateThemselves is the life of an application on Windows: the real electron-updater asks the running gateway,
// in distributed mode through nginx.
func TestDesktopClientsUpdateThemselves(t *testing.T) {
	eachMode(t, rig.Options{}, func(t *testing.T, r *rig.Rig) {
		door := r.URLs[0]
		if r.Env["GATEHOUSE_DATABASE_URL"] != "" {
			door = nginx(t, ourSite(t, door))
		}
		l := &life{desk: newDesk(t, r, door), track: track{"stable", "win32", "x64"}}
		l.nothing()
		l.first()
		l.stage()
		l.differential()
		l.tampered()
		l.paused()
		l.rolledBack()
		l.unpublished()
	})
}

// life is that of one application.
type life struct {
	*desk
	track track
	// ids are the releases 1.0.0, 2.0.0 and 3.0.0, setups their installers.
	ids    [3]string
	setups [3][]byte
}

const notes = "# 2.0 新版本 🚀\n\n- faster: \"yes\"\n- it's `better`\n"

func setupName(version string) string { return "Demo App Setup " + version + ".exe" }

// release makes the next draft.
func (l *life) release(n, every int) {
	l.t.Helper()
	version := fmt.Sprintf("%d.0.0", n)
	l.setups[n-1] = setup(byte(n), every)
	l.ids[n-1] = l.draft(l.track, version, notes, piece{"installer", setupName(version), l.setups[n-1]},
		piece{"blockmap", setupName(version) + ".blockmap", zippedBlockMap(l.t, l.setups[n-1])})
}

// nothing is published: that is an answer, and no error, also to those who would go back.
func (l *life) nothing() {
	l.release(1, 8)
	l.sees(l.track, job{Version: "0.9.0"}, "")
	l.sees(l.track, job{Version: "0.9.0", Downgrade: true}, "")
}

func (l *life) first() {
	l.publish(l.ids[0], 100)
	l.sees(l.track, job{Version: "0.9.0"}, "1.0.0")
	l.sees(l.track, job{Version: "0.9.0", Device: late}, "1.0.0")
	l.sees(l.track, job{Version: "1.0.0"}, "")
	o := l.run(l.track, job{Version: "0.9.0", Download: true})
	l.whole(o, l.setups[0])
	require.Equal(l.t, notes, o.Notes)
	require.Equal(l.t, setupName("1.0.0"), o.File[strings.LastIndexByte(o.File, '/')+1:])
	require.Contains(l.t, o.Events, "update-downloaded")
}

// whole says that a download is the file, to the byte, and that nothing went wrong on the way.
func (l *life) whole(o outcome, content []byte) {
	l.t.Helper()
	sum := sha512.Sum512(content)
	require.Empty(l.t, o.Error, o.log())
	require.Equal(l.t, hex.EncodeToString(sum[:]), o.SHA512)
	require.NotContains(l.t, o.log(), "fallback to full download")
}

// stage gives the second release to some. The others keep the first.
func (l *life) stage() {
	l.release(2, 8)
	l.publish(l.ids[1], 30)
	l.sees(l.track, job{Version: "0.9.0", Device: early}, "2.0.0")
	l.sees(l.track, job{Version: "1.0.0", Device: early}, "2.0.0")
	l.sees(l.track, job{Version: "0.9.0", Device: late}, "1.0.0")
	l.sees(l.track, job{Version: "1.0.0", Device: late}, "")
	l.sees(l.track, job{Version: "2.0.0", Device: late}, "")
	l.change(http.MethodPut, l.ids[1], "percentage", map[string]any{"percentage": 100})
	l.sees(l.track, job{Version: "1.0.0", Device: late}, "2.0.0")
}

// differential asks for what differs only: first with the old block map from the feed, where it still is though its release is not
// offered any more; then with the one that the updater kept, and with as many ranges as it ever asks for in one request.
func (l *life) differential() {
	home := l.t.TempDir()
	l.tap.take()
	o := l.run(l.track, job{Version: "1.0.0", Home: home, Download: true, Differential: true, Installed: keep(l.t, l.setups[0])})
	l.whole(o, l.setups[1])
	require.Contains(l.t, o.log(), "No cached blockmap")
	l.moved(l.tap.take(), "2.0.0", []int{setupBytes / blockBytes / 8})

	l.release(3, 4)
	l.publish(l.ids[2], 100)
	l.sees(l.track, job{Version: "2.0.0"}, "3.0.0")
	l.tap.take()
	o = l.run(l.track, job{Version: "2.0.0", Home: home, Download: true, Differential: true, Installed: keep(l.t, l.setups[1])})
	l.whole(o, l.setups[2])
	require.NotContains(l.t, o.log(), "No cached blockmap")
	// A thousand steps are done at once, of which every second copies from the old file.
	l.moved(l.tap.take(), "3.0.0", []int{500, setupBytes/blockBytes/4 - 500})
}

// moved says that the installer came in requests of so many ranges, and little of it.
func (l *life) moved(seen []passed, version string, ranges []int) {
	l.t.Helper()
	var asked []int
	var moved int64
	for _, p := range seen {
		require.Less(l.t, p.Status, 300, p.Path)
		if strings.HasSuffix(p.Path, ".blockmap") {
			continue
		}
		require.Equal(l.t, l.track.feed()+version+"/"+setupName(version), p.Path)
		require.Equal(l.t, http.StatusPartialContent, p.Status)
		require.True(l.t, strings.HasPrefix(p.Type, "multipart/byteranges; boundary="), p.Type)
		asked = append(asked, p.Ranges)
		moved += p.Bytes
	}
	require.Equal(l.t, ranges, asked)
	require.Less(l.t, moved, int64(setupBytes/3))
}

// tampered changes a byte on the way. The updater refuses it whole or in parts, and takes the right file afterwards.
func (l *life) tampered() {
	l.tap.spoiling(".exe")
	for _, differential := range []bool{false, true} {
		o := l.run(l.track, job{Version: "2.0.0", Download: true, Differential: differential, Installed: keep(l.t, l.setups[1])})
		require.Contains(l.t, o.Error, "ERR_CHECKSUM_MISMATCH")
		require.Empty(l.t, o.File)
		require.NotContains(l.t, o.Events, "update-downloaded")
	}
	l.tap.spoiling("")
	l.whole(l.run(l.track, job{Version: "2.0.0", Download: true}), l.setups[2])
}

// paused gives the third release to nobody, and the second to those who have less.
func (l *life) paused() {
	l.change(http.MethodPost, l.ids[2], "pause", nil)
	l.sees(l.track, job{Version: "2.0.0"}, "")
	l.sees(l.track, job{Version: "1.0.0"}, "2.0.0")
	l.change(http.MethodPost, l.ids[2], "resume", nil)
	l.sees(l.track, job{Version: "2.0.0"}, "3.0.0")
}

// rolledBack goes back to the first release. Who has a later one stays on it, unless the application allows to go back.
func (l *life) rolledBack() {
	l.change(http.MethodPost, l.ids[0], "rollback", nil)
	l.sees(l.track, job{Version: "2.0.0"}, "")
	l.sees(l.track, job{Version: "3.0.0"}, "")
	l.sees(l.track, job{Version: "3.0.0", Downgrade: true}, "1.0.0")
	l.whole(l.run(l.track, job{Version: "3.0.0", Downgrade: true, Download: true}), l.setups[0])
}

// unpublished leaves nothing.
func (l *life) unpublished() {
	l.change(http.MethodPost, l.ids[0], "unpublish", nil)
	l.sees(l.track, job{Version: "0.9.0"}, "")
	l.sees(l.track, job{Version: "3.0.0", Downgrade: true}, "")
}

// TestAPublishersManifestIsServedAsItIs: a channel of its own, files beside the manifest, line ends of Windows, comments, keys that
// only the publisher knows.
func TestAPublishersManifestIsServedAsItIs(t *testing.T) {
	r := rig.Embedded(t, rig.Options{})
	d, beta := newDesk(t, r, r.URLs[0]), track{"beta", "win32", "arm64"}
	l := &life{desk: d, track: beta}
	var last []byte
	for n, version := range []string{"2.0.0-beta.2", "2.0.0-beta.10"} {
		content, name := setup(byte(n+1), 16), "Demo-"+version+".exe"
		text := publishersManifest(version, name, content)
		l.publish(l.draft(beta, version, "", piece{"installer", name, content}, piece{"blockmap", name + ".blockmap", zippedBlockMap(t, content)},
			piece{"manifest", "beta.yml", []byte(text)}), 100)
		l.sees(beta, job{Version: "1.0.0"}, version)
		for _, file := range []string{"latest.yml", "beta.yml"} {
			status, body, err := d.got(beta.feed() + file)
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, status)
			require.Equal(t, text, string(body))
		}
		j := job{Version: "2.0.0-beta.1", Channel: "beta", Download: true}
		if last != nil {
			j.Version, j.Differential, j.Installed = "2.0.0-beta.2", true, keep(t, last)
		}
		l.whole(d.run(beta, j), content)
		last = content
	}
	l.sees(beta, job{Version: "2.0.0-beta.10", Channel: "beta"}, "")
	l.sees(beta, job{Version: "2.0.0"}, "")
	l.sees(track{"stable", "win32", "arm64"}, job{Version: "1.0.0"}, "")
}

// TestOtherPlatformsUpdateThemselves: macOS takes a .zip, Linux an AppImage, whose block map is inside it.
func TestOtherPlatformsUpdateThemselves(t *testing.T) {
	r := rig.Embedded(t, rig.Options{})
	d := newDesk(t, r, r.URLs[0])
	mac := track{"stable", "darwin", "x64"}
	l := &life{desk: d, track: mac}
	packed := appZip(t)
	l.publish(l.draft(mac, "1.1.0", "", piece{"installer", "Demo-1.1.0-mac.zip", packed}), 100)
	l.sees(mac, job{Version: "1.0.0"}, "1.1.0")
	l.whole(d.run(mac, job{Version: "1.0.0", Download: true}), packed)

	for _, arch := range []string{"x64", "arm64", "x86"} {
		l.sees(track{"stable", "linux", arch}, job{Version: "1.0.0"}, "")
	}
	linux := track{"stable", "linux", "arm64"}
	old, _ := appImage(t, 1, 8)
	content, size := appImage(t, 2, 8)
	l.publish(l.draft(linux, "1.1.0", "", piece{"installer", "demo-1.1.0.AppImage", content}, piece{"manifest", "latest-linux-arm64.yml", fmt.Appendf(nil,
		"version: 1.1.0\nfiles:\n  - url: 1.1.0/demo-1.1.0.AppImage\n    sha512: %s\n    size: %d\n    blockMapSize: %d\n", base64SHA512(content), len(content), size)}), 100)
	l.sees(linux, job{Version: "1.0.0"}, "1.1.0")
	l.whole(d.run(linux, job{Version: "1.0.0", Download: true}), content)
	d.tap.take()
	l.whole(d.run(linux, job{Version: "1.0.0", Download: true, Differential: true, Installed: keep(t, old)}), content)
	seen := d.tap.take()
	require.Len(t, seen, 2, "the block map at the end, and what differs")
	require.Equal(t, []int{1, len(old) / blockBytes / 8}, []int{seen[0].Ranges, seen[1].Ranges})
}

// TestASwappedInstallerIsNotServed: what lies in the store is not what was signed off any more. The updater gets the bytes before it
// and an error; and then the release is offered to nobody.
func TestASwappedInstallerIsNotServed(t *testing.T) {
	eachMode(t, rig.Options{}, func(t *testing.T, r *rig.Rig) {
		l := &life{desk: newDesk(t, r, r.URLs[0]), track: track{"stable", "win32", "x64"}}
		l.release(1, 8)
		l.publish(l.ids[0], 100)
		l.sees(l.track, job{Version: "0.9.0"}, "1.0.0")

		const swappedAt = setupBytes / 2
		sum, swapped := sha256.Sum256(l.setups[0]), bytes.Clone(l.setups[0])
		swapped[swappedAt] ^= 1
		require.NoError(t, storeOf(t, r).Clean.Put(t.Context(), storage.BlobKey(release.PlatformTenant, hex.EncodeToString(sum[:])),
			bytes.NewReader(swapped), int64(len(swapped)), blob.PutOptions{}))

		l.tap.take()
		o := l.run(l.track, job{Version: "0.9.0", Download: true})
		require.NotEmpty(t, o.Error)
		require.Empty(t, o.File)
		require.NotContains(t, o.Events, "update-downloaded")
		seen := l.tap.take()
		require.Len(t, seen, 1)
		require.LessOrEqual(t, len(seen[0].Body), swappedAt)
		require.True(t, bytes.HasPrefix(l.setups[0], seen[0].Body), "not one wrong byte")

		status, body, err := l.got(l.track.feed() + "1.0.0/" + strings.ReplaceAll(setupName("1.0.0"), " ", "%20"))
		require.NoError(t, err)
		require.GreaterOrEqual(t, status, http.StatusBadRequest, string(body))
		l.sees(l.track, job{Version: "0.9.0"}, "")
	})
}
