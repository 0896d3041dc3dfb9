package jobs_test

import (
	"bytes"
	"crypto/rand"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/quota"
	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
	"gatehouse/worker/jobs"
	"gatehouse/worker/mediatest"
	"gatehouse/worker/tools/ffmpeg"
	"gatehouse/worker/tools/vips"
)

// smallFilm is a variant that costs little.
var smallFilm = ffmpeg.Preset{Name: "small", Codec: ffmpeg.H264, LongEdge: 320, Speed: "superfast"}

// filmAttackBench makes one small variant of each picture and film, two at a time.
func filmAttackBench(t *testing.T) *bench {
	t.Helper()
	b := filmBench(t, ffmpeg.Config{Concurrency: 2, Threads: 1, Limits: ffmpeg.Limits{Timeout: 30 * time.Second}}, smallFilm)
	b.deps.Presets = []vips.Preset{{Name: "w320", LongEdge: 320, Quality: 85}}
	b.deps.Poster.Effort = 0
	return b
}

// ofFilmTenant is the same bench for another tenant with the same plan.
func (b *bench) ofFilmTenant(t *testing.T) *bench { return b.ofTenant(t).withFilmPlan(t) }

// hostileFilm has the video job take a film that means harm, and returns its row: made, or failed for a reason that
// people are told. Anything else, such as a task that is tried again and again, fails the test.
func (b *bench) hostileFilm(t testing.TB, name string, content []byte) meta.Blob {
	t.Helper()
	digest := b.cleanFilm(t, content)
	err := b.attempt(t, storage.TaskVideo, digest)
	row := b.blob(t, digest)
	presets := b.presetsOf(t, digest)
	switch row.MediaStatus {
	case storage.MediaDone:
		require.NoError(t, err, name)
		require.Equal(t, []string{storage.PresetPoster, smallFilm.Name}, presets, name)
		require.Positive(t, row.DurationMS, name)
	case storage.MediaFailed:
		require.True(t, jobs.IsPermanent(err), "%s: %v", name, err)
		require.NotEmpty(t, row.MediaError, name)
		require.NotEmpty(t, row.MediaReason, name)
		require.NotContains(t, presets, smallFilm.Name, name)
	default:
		require.Fail(t, "neither made nor failed", "%s: %s, %v", name, row.MediaStatus, err)
	}
	_, open := b.open(t, storage.TaskVideo, digest)
	require.False(t, open, "%s has a stuck task", name)
	return row
}

// cleanFilm stores a film as the scan leaves it: in the clean zone, with its video task queued.
func (b *bench) cleanFilm(t testing.TB, content []byte) (digest string) {
	t.Helper()
	digest = digestOf(content)
	b.put(t, storage.ZoneClean, digest, content)
	now := meta.Now()
	b.inTx(t, func(tx *meta.Tx) error {
		tenant := tx.Tenant(b.tenant)
		created, err := tenant.CreateBlob(&meta.Blob{
			SHA256: digest, Size: int64(len(content)), MediaType: "application/octet-stream", Category: storage.CategoryVideo,
			Zone: storage.ZoneClean, Refs: 1, ScanStatus: storage.ScanClean, MediaStatus: storage.MediaPending,
			CreatedAt: now, UpdatedAt: now,
		})
		require.NoError(t, err)
		require.True(t, created)
		a := b.asset(meta.NewID(), digest, int64(len(content)), storage.CategoryVideo)
		a.State = storage.AssetAvailable
		if err := tenant.CreateAsset(a); err != nil {
			return err
		}
		return b.ledger.Charge(tx, b.tenant, int64(len(content)))
	})
	b.queue(t, storage.TaskVideo, digest)
	return digest
}

// besides runs an attack while the same tools serve somebody else, and has them serve once more afterwards.
func (b *bench) besides(t *testing.T, attack func(t *testing.T, b *bench)) {
	t.Helper()
	t.Run("together", func(t *testing.T) {
		t.Run("attack", func(t *testing.T) { t.Parallel(); attack(t, b.ofFilmTenant(t)) })
		t.Run("neighbour", func(t *testing.T) { t.Parallel(); b.requireServed(t) })
	})
	b.requireServed(t)
}

// requireServed has another tenant's good video and good picture come out right.
func (b *bench) requireServed(t *testing.T) {
	t.Helper()
	b.requireHealthy(t)
	other := b.ofFilmTenant(t)
	seed := mediatest.VideoSeeds(t)[0]
	require.Equal(t, storage.MediaDone, other.hostileFilm(t, "a good one", seed.Bytes).MediaStatus)
	_, content := other.variant(t, digestOf(seed.Bytes), smallFilm.Name)
	path := filepath.Join(t.TempDir(), "variant.mp4")
	require.NoError(t, os.WriteFile(path, content, 0o600))
	spots := mediatest.Video(t, mediatest.Plain).Spots
	mediatest.Looks(t, mediatest.Frame(t, path, 0.2, false), spots)
	_, still := other.variant(t, digestOf(seed.Bytes), storage.PresetPoster)
	mediatest.Looks(t, mediatest.DecodeWebP(t, still), spots)
	other.requireExactLedger(t)
}

// logged is a test whose log is kept in a file too.
type logged struct {
	testing.TB
	file io.Writer
}

func (l logged) Output() io.Writer { return io.MultiWriter(l.TB.Output(), l.file) }

// A playlist or a reference to another file must not have ffmpeg open that file: not bare, not behind the first bytes
// of a real video, not within one.
func TestVideosInDisguiseReadNothing(t *testing.T) {
	b := filmAttackBench(t)
	// Beneath this folder lies all that the bench keeps: database, zones, work folders and the log.
	folder := filepath.Dir(t.TempDir())
	log, err := os.Create(filepath.Join(folder, "log"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, log.Close()) })
	b.besides(t, func(t *testing.T, b *bench) {
		t.Helper()
		marker := rand.Text()
		secret := plant(t, "secret.txt", []byte(strings.Repeat(marker+"\n", 100)))
		film := plant(t, "film.mp4", clip(t, mediatest.Plain))
		for _, list := range []map[string][]byte{disguises(t, secret), behindHeads(disguises(t, secret)), disguises(t, film)} {
			for name, content := range list {
				row := b.hostileFilm(logged{t, log}, name, content)
				require.Equal(t, storage.MediaFailed, row.MediaStatus, name)
				bare := !strings.Contains(name, "behind") && name != "external-dref"
				require.Equal(t, bare, row.MediaReason == storage.ReasonVideoFormat.Slug, "%s: %s", name, row.MediaReason)
				require.Empty(t, b.variants(t, digestOf(content)), name)
			}
		}
		for name, content := range laden(t, secret) {
			require.Equal(t, storage.MediaDone, b.hostileFilm(logged{t, log}, name, content).MediaStatus, name)
		}
		b.requireExactLedger(t)
		require.Positive(t, found(t, folder, secret), "who does not find what the originals say finds nothing")
		require.Zero(t, found(t, folder, marker), "a planted file was read")
	})
	said, err := os.ReadFile(log.Name())
	require.NoError(t, err)
	require.Contains(t, string(said), storage.ReasonVideoFormat.Slug, "the log is told of them")
}

// plant writes a file that anybody may read.
func plant(t *testing.T, name string, content []byte) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, content, 0o644))
	return path
}

// disguises are those of package mediatest.
func disguises(t *testing.T, planted string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for _, d := range mediatest.VideoDisguises(t, planted) {
		all[d.Name] = d.Bytes
	}
	delete(all, "playlist-behind-ftyp") // which behindHeads makes of every text
	return all
}

// behindHeads has each of the texts behind the head of a real MP4, and behind that of a real WebM.
func behindHeads(texts map[string][]byte) map[string][]byte {
	all := map[string][]byte{}
	for name, text := range texts {
		if name != "external-dref" {
			all[name+" behind ftyp"] = append([]byte("\x00\x00\x00\x14ftypisom\x00\x00\x02\x00isom"), text...)
			all[name+" behind EBML"] = append([]byte("\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm"), text...)
		}
	}
	return all
}

// laden are good videos that have playlists aboard: as an attachment, as subtitles.
func laden(t *testing.T, planted string) map[string][]byte {
	t.Helper()
	playlist := plant(t, "list.m3u8", []byte("#EXTM3U\n#EXTINF:1,\nfile://"+planted+"\n#EXT-X-ENDLIST\n"))
	titles := plant(t, "titles.srt", []byte("1\n00:00:00,000 --> 00:00:00,400\nffconcat version 1.0\nfile '"+planted+"'\n"))
	film := mediatest.Video(t, mediatest.Plain).Path
	all := map[string][]byte{}
	for name, args := range map[string][]string{
		"attachment": {"-i", film, "-attach", playlist, "-metadata:s:t", "mimetype=application/vnd.apple.mpegurl"},
		"subtitles":  {"-i", film, "-i", titles, "-map", "0", "-map", "1", "-c:s", "srt"},
	} {
		out := filepath.Join(t.TempDir(), name+".mkv")
		args = append(append([]string{"-nostdin", "-v", "error"}, args...), "-c:v", "copy", "-c:a", "copy", out)
		said, err := exec.Command("ffmpeg", args...).CombinedOutput()
		require.NoError(t, err, "%s", said)
		all[name], err = os.ReadFile(out)
		require.NoError(t, err)
		require.Contains(t, string(all[name]), planted)
	}
	return all
}

// found counts the files beneath a folder that contain a text.
func found(t *testing.T, folder, text string) (n int) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(folder, func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return nil // what goes while we look is somebody else's work folder
		}
		content, err := os.ReadFile(path)
		if err == nil && bytes.Contains(content, []byte(text)) {
			n++
		}
		return nil
	}))
	return n
}

func TestTruncatedVideosHarmNobody(t *testing.T) {
	b := filmAttackBench(t)
	t.Run("together", func(t *testing.T) {
		t.Run("neighbour", func(t *testing.T) { t.Parallel(); b.requireServed(t) })
		for _, s := range mediatest.VideoSeeds(t) {
			t.Run(s.Name, func(t *testing.T) {
				t.Parallel()
				b := b.ofFilmTenant(t)
				cuts, outcomes := 0, map[string]int{}
				for _, cut := range mediatest.Truncations(s.Bytes) {
					outcomes[outcome(b.hostileFilm(t, s.Name, cut))]++
					cuts++
				}
				t.Log(outcomes)
				require.Equal(t, mediatest.CutPoints, cuts)
				require.Positive(t, outcomes[storage.ReasonVideoDamaged.Slug], "no cut was noticed")
				b.requireExactLedger(t)
			})
		}
	})
	b.requireServed(t)
}

// A limit is told as such, and the original stays.
func TestVideosOverALimitAreRefused(t *testing.T) {
	b := filmAttackBench(t)
	t.Run("together", func(t *testing.T) {
		t.Run("neighbour", func(t *testing.T) { t.Parallel(); b.requireServed(t) })
		for _, row := range []struct {
			name   string
			limits ffmpeg.Limits
			kind   mediatest.VideoKind
			reason storage.Reason
		}{
			{"duration", ffmpeg.Limits{MaxDuration: time.Second}, mediatest.Plain, storage.ReasonVideoTooLong},
			{"pixels", ffmpeg.Limits{MaxPixels: 1920 * 1080}, mediatest.FourK60, storage.ReasonVideoTooManyPixels},
			{"streams", ffmpeg.Limits{MaxStreams: 1}, mediatest.Plain, storage.ReasonVideoTooManyStreams},
			{"bit rate", ffmpeg.Limits{MaxBitRate: 10_000}, mediatest.Plain, storage.ReasonVideoBitRate},
			{"bytes", ffmpeg.Limits{MaxBytes: 1000}, mediatest.Plain, storage.ReasonVideoTooLarge},
			{"output", ffmpeg.Limits{MaxOutputBytes: 10_000}, mediatest.MKV, storage.ReasonVideoOutputTooLarge},
			{"processor time", ffmpeg.Limits{CPU: time.Second}, mediatest.FourK60, storage.ReasonVideoTooSlow},
			{"clock", ffmpeg.Limits{Timeout: time.Second}, mediatest.FourK60, storage.ReasonVideoTooSlow},
		} {
			t.Run(row.name, func(t *testing.T) {
				t.Parallel()
				b := b.ofFilmTenant(t)
				b.useFilms(t, ffmpeg.Config{Threads: 1, Limits: row.limits})
				b.deps.VideoPresets = []ffmpeg.Preset{{Name: smallFilm.Name, Codec: ffmpeg.H264, LongEdge: 1920, Speed: "slow"}}
				asset, digest := b.cleanVideo(t, clip(t, row.kind))
				err := b.attempt(t, storage.TaskVideo, digest)
				require.True(t, jobs.IsPermanent(err), "%v", err)
				b.requireRefused(t, asset, digest, row.reason)
				require.NotContains(t, b.presetsOf(t, digest), smallFilm.Name)
			})
		}
	})
	b.requireServed(t)
}

// Somebody ends the process that encodes. What the kernel kills, it kills for want of memory: the file is at fault. A
// request to end comes from who stops the machine or the service, and says nothing about the file.
func TestVideoWhoseProcessIsKilled(t *testing.T) {
	for name, row := range map[string]struct {
		signal    syscall.Signal
		permanent bool
	}{
		"KILL": {syscall.SIGKILL, true}, "TERM": {syscall.SIGTERM, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := filmAttackBench(t)
			work := t.TempDir()
			films, err := ffmpeg.NewRunner(ffmpeg.Config{TempDir: work, Threads: 1, Require: true})
			require.NoError(t, err)
			b.deps.Videos = films
			content, err := os.ReadFile(mediatest.Long(t, 60, 50).Path)
			require.NoError(t, err)
			asset, digest := b.cleanVideo(t, content)
			attempted, killed := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(killed)
				for b.blob(t, digest).MediaProgress < 0.03 { // by then it encodes
					select {
					case <-attempted:
						return
					case <-time.After(10 * time.Millisecond):
					}
				}
				for pid := range processesIn(t, work) {
					if err := syscall.Kill(pid, row.signal); err != nil {
						t.Errorf("kill %d: %v", pid, err)
					}
				}
			}()
			err = b.attempt(t, storage.TaskVideo, digest)
			close(attempted)
			<-killed
			require.Error(t, err)
			require.Equal(t, row.permanent, jobs.IsPermanent(err), "%v", err)
			require.Empty(t, processesIn(t, work))
			left, err := os.ReadDir(work)
			require.NoError(t, err)
			require.Empty(t, left)
			require.Equal(t, storage.AssetAvailable, b.stateOf(t, asset))
			require.Equal(t, []string{storage.PresetPoster}, b.presetsOf(t, digest))
			b.requireExactLedger(t)
			_, open := b.open(t, storage.TaskVideo, digest)
			require.Equal(t, !row.permanent, open, "whether it is tried again")
			if row.permanent {
				require.Equal(t, storage.MediaFailed, b.blob(t, digest).MediaStatus)
			}
			b.requireServed(t)
		})
	}
}

// There is no room for what is made: nothing lies in the store that nobody has been charged for.
func TestVideoWithoutRoomInTheQuota(t *testing.T) {
	b := filmAttackBench(t)
	content := clip(t, mediatest.MKV)
	asset, digest := b.cleanVideo(t, content)
	require.NoError(t, b.attempt(t, storage.TaskVideo, digest))
	still, _ := b.variant(t, digest, storage.PresetPoster)
	require.Equal(t, storage.AssetAvailable, b.stateOf(t, asset))

	for name, row := range map[string]struct {
		room int64
		made []string
	}{
		"nothing": {0, nil}, "the poster": {still.Size, []string{storage.PresetPoster}},
	} {
		t.Run(name, func(t *testing.T) {
			b := *b
			b.tenant = metatest.Tenant(t, b.db, int64(len(content))+row.room)
			b.plan(t, quota.Spec{Transcoding: true, VideoPresets: []string{smallFilm.Name}})
			asset, digest := b.cleanVideo(t, content)
			require.True(t, jobs.IsPermanent(b.attempt(t, storage.TaskVideo, digest)))
			made := b.blob(t, digest)
			require.Equal(t, "quota_exceeded", made.MediaReason)
			b.requireRefused(t, asset, digest, storage.Reason{Slug: made.MediaReason, English: made.MediaError})
			require.Equal(t, row.made, b.presetsOf(t, digest))
			require.Len(t, b.objects(t, storage.ZoneClean), 1+len(row.made), "the original, and what has a row")
			require.Empty(t, b.objects(t, storage.ZoneQuarantine))
		})
	}
	b.requireServed(t)
}
