package jobs_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/quota"
	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/worker/jobs"
	"gatehouse/worker/mediatest"
	"gatehouse/worker/tools/ffmpeg"
	"gatehouse/worker/tools/vips"
)

// withVideos gives the bench real tools for videos, and its tenant a plan that transcodes.
func (b *bench) withVideos(t testing.TB, limits ffmpeg.Limits) *bench {
	t.Helper()
	b.withPictures(t)
	films, err := ffmpeg.NewRunner(ffmpeg.Config{TempDir: t.TempDir(), Limits: limits, Require: true})
	require.NoError(t, err)
	b.deps.Videos, b.deps.VideoTimeout = films, 5*time.Minute
	b.deps.VideoPresets = []ffmpeg.Preset{
		{Name: "h264", Codec: ffmpeg.H264, LongEdge: 1920}, {Name: "small", Codec: ffmpeg.H264, LongEdge: 320},
		{Name: "h265", Codec: ffmpeg.H265, LongEdge: 1920},
	}
	b.deps.Poster = vips.Preset{Name: storage.PresetPoster, LongEdge: 1280, Quality: 85, Effort: 2}
	b.plan(t, quota.Spec{Transcoding: true, VideoPresets: []string{"h264", "small"}})
	return b
}

// plan changes the plan of the bench's tenant.
func (b *bench) plan(t testing.TB, s quota.Spec) {
	t.Helper()
	raw, err := s.Encode()
	require.NoError(t, err)
	b.inTx(t, func(tx *meta.Tx) error {
		_, err := tx.Exec(`UPDATE plans SET spec = ? WHERE name = ?`, raw, "plan-"+b.tenant)
		return err
	})
}

// cleanVideo uploads a video and scans it.
func (b *bench) cleanVideo(t testing.TB, content []byte) (asset, digest string) {
	t.Helper()
	asset, digest = b.upload(t, content, storage.CategoryVideo)
	require.NoError(t, b.attempt(t, storage.TaskScan, digest))
	return asset, digest
}

func clip(t testing.TB, kind mediatest.VideoKind) []byte {
	t.Helper()
	content, err := os.ReadFile(mediatest.Video(t, kind).Path)
	require.NoError(t, err)
	return content
}

func (b *bench) presetsOf(t testing.TB, digest string) (names []string) {
	t.Helper()
	for _, v := range b.variants(t, digest) {
		names = append(names, v.Preset)
	}
	slices.Sort(names)
	return names
}

func TestVideoGetsItsPosterFirstThenTheVariantsOfItsPlan(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		b.withVideos(t, ffmpeg.Limits{})
		asset, digest := b.cleanVideo(t, clip(t, mediatest.Surround))
		require.NoError(t, b.attempt(t, storage.TaskVideo, digest))

		row := b.blob(t, digest)
		require.Equal(t, storage.MediaDone, row.MediaStatus)
		require.Equal(t, [2]int64{640, 360}, [2]int64{row.Width, row.Height})
		require.Equal(t, "h264 aac", row.VideoCodec+" "+row.AudioCodec)
		require.InDelta(t, 2000, row.DurationMS, 200)
		require.InDelta(t, 30, row.FPS, 1)
		require.Len(t, row.DominantColor, len("#rrggbb"))
		require.NotEmpty(t, row.ThumbHash)
		require.Equal(t, []string{"h264", "poster", "small"}, b.presetsOf(t, digest), "h265 is not in the plan")
		ready := slices.DeleteFunc(b.events(t, asset), func(k storage.EventKind) bool { return k == storage.EventMedia })
		require.Equal(t, []storage.EventKind{
			storage.EventScanned, storage.EventVariantReady, storage.EventVariantReady, storage.EventVariantReady,
		}, ready)
		b.requireExactLedger(t)
	})
}

func TestVideosWithoutTranscodingInThePlanAreLeftAlone(t *testing.T) {
	onSQLite(t, func(t *testing.T, b *bench) {
		b.withVideos(t, ffmpeg.Limits{})
		b.plan(t, quota.Spec{VideoPresets: []string{"h264"}})
		_, digest := b.cleanVideo(t, clip(t, mediatest.Plain))
		_, queued := b.open(t, storage.TaskVideo, digest)
		require.False(t, queued)
		require.Equal(t, storage.MediaNone, b.blob(t, digest).MediaStatus)
	})
}

// A worker dies at each point of the job; the next one ends it, and nothing is charged or told twice.
func TestVideoJobIsTakenUpFromAnyPoint(t *testing.T) {
	onSQLite(t, func(t *testing.T, b *bench) {
		b.withVideos(t, ffmpeg.Limits{})
		content := clip(t, mediatest.Plain)
		for i, crash := range []func(t *testing.T, digest string){
			func(t *testing.T, digest string) { // all made, task not ended
				r := b.claim(t, storage.TaskVideo, digest)
				_, err := b.job(t, storage.TaskVideo).Run(context.Background(), r)
				require.NoError(t, err)
				b.inTx(t, func(tx *meta.Tx) error { return tx.Retry(r.Lease, meta.Now(), "died", false) })
			},
			func(t *testing.T, digest string) { // an object without its row
				key := storage.VariantKey(b.tenant, digest, "h264", "00112233aabb", "mp4")
				require.NoError(t, b.zones.Clean.Put(context.Background(), key, bytes.NewReader([]byte("half")), 4, blob.PutOptions{}))
			},
			func(t *testing.T, digest string) { // the poster is there, and its object with it
				b.deps.VideoPresets = b.deps.VideoPresets[:1]
				r := b.claim(t, storage.TaskVideo, digest)
				_, err := b.job(t, storage.TaskVideo).Run(context.Background(), r)
				require.NoError(t, err)
				b.inTx(t, func(tx *meta.Tx) error { return tx.Retry(r.Lease, meta.Now(), "died", false) })
				b.withVideos(t, ffmpeg.Limits{})
			},
		} {
			// Bytes behind the last box make it another file.
			_, digest := b.cleanVideo(t, append(bytes.Clone(content), 0, 0, 0, 9, 'f', 'r', 'e', 'e', byte(i)))
			crash(t, digest)
			require.NoError(t, b.attempt(t, storage.TaskVideo, digest))
			require.Equal(t, []string{"h264", "poster", "small"}, b.presetsOf(t, digest))
			require.Equal(t, storage.MediaDone, b.blob(t, digest).MediaStatus)
			require.NotEmpty(t, b.blob(t, digest).ThumbHash)
			b.sweepOrphan(t, digest)
			b.requireExactLedger(t)
		}
	})
}

func TestUnplayableVideoFailsWithASentence(t *testing.T) {
	onSQLite(t, func(t *testing.T, b *bench) {
		b.withVideos(t, ffmpeg.Limits{MaxDuration: time.Second})
		for _, x := range []struct {
			content []byte
			reason  storage.Reason
		}{
			{clip(t, mediatest.Plain), storage.ReasonVideoTooLong},
			{clip(t, mediatest.AVIInDisguise), storage.ReasonVideoFormat},
			{[]byte("#EXTM3U\nfile:///etc/passwd\n"), storage.ReasonVideoFormat},
		} {
			asset, digest := b.cleanVideo(t, x.content)
			require.True(t, jobs.IsPermanent(b.attempt(t, storage.TaskVideo, digest)))
			row := b.blob(t, digest)
			require.Equal(t, storage.MediaFailed, row.MediaStatus)
			require.Equal(t, x.reason.Slug+" "+x.reason.English, row.MediaReason+" "+row.MediaError)
			require.Equal(t, storage.AssetAvailable, b.stateOf(t, asset), "the original stays readable")
			b.requireExactLedger(t)
		}
	})
}

// A video that is deleted while it is transcoded: the process ends, and nothing is published.
func TestVideoJobStopsWhenNobodyWantsTheVariants(t *testing.T) {
	onSQLite(t, func(t *testing.T, b *bench) {
		b.withVideos(t, ffmpeg.Limits{})
		content, err := os.ReadFile(mediatest.Long(t, 60, 50).Path)
		require.NoError(t, err)
		asset, digest := b.cleanVideo(t, content)
		go func() {
			for b.blob(t, digest).MediaProgress < 0.03 {
				time.Sleep(20 * time.Millisecond)
			}
			b.inTx(t, func(tx *meta.Tx) error { _, err := tx.Tenant(b.tenant).DeleteAsset(asset); return err })
		}()
		require.NoError(t, b.attempt(t, storage.TaskVideo, digest))
		require.Equal(t, []string{storage.PresetPoster}, b.presetsOf(t, digest))
		row := b.blob(t, digest)
		require.Equal(t, storage.MediaRunning, row.MediaStatus, "whoever wants the blob again goes on from here")
		require.Greater(t, row.MediaProgress, 0.02, "progress was told while it ran")
		b.requireExactLedger(t)
	})
}

func TestPlanThatNamesNoPresetOfThisWorkerIsTold(t *testing.T) {
	onSQLite(t, func(t *testing.T, b *bench) {
		b.withVideos(t, ffmpeg.Limits{})
		b.plan(t, quota.Spec{Transcoding: true, VideoPresets: []string{"av1"}, ImagePresets: []string{"huge"}})
		_, film := b.cleanVideo(t, clip(t, mediatest.Plain))
		require.True(t, jobs.IsPermanent(b.attempt(t, storage.TaskVideo, film)))
		_, picture := b.cleanPicture(t, photo(t, 77))
		require.True(t, jobs.IsPermanent(b.attempt(t, storage.TaskImage, picture)))
		for _, digest := range []string{film, picture} {
			require.Equal(t, "failed "+storage.ReasonMediaFailed.Slug, string(b.blob(t, digest).MediaStatus)+" "+b.blob(t, digest).MediaReason)
		}
		// A plan older than the presets names none: its videos become what plays everywhere.
		b.plan(t, quota.Spec{Transcoding: true})
		b.queue(t, storage.TaskVideo, film)
		require.NoError(t, b.attempt(t, storage.TaskVideo, film))
		require.Equal(t, []string{"h264", "poster", "small"}, b.presetsOf(t, film))
		b.requireExactLedger(t)
	})
}

// A store that is away while a variant is to be stored: the work waits and is not done again.
func TestVariantWaitsForAStoreThatIsAway(t *testing.T) {
	onSQLite(t, func(t *testing.T, b *bench) {
		b.withVideos(t, ffmpeg.Limits{})
		_, digest := b.cleanVideo(t, clip(t, mediatest.Plain))
		away := &awayBucket{Bucket: b.zones.Clean, failures: 2}
		b.zones.Clean = away
		require.NoError(t, b.attempt(t, storage.TaskVideo, digest))
		require.Zero(t, away.failures)
		require.Equal(t, []string{"h264", "poster", "small"}, b.presetsOf(t, digest))
		task, err := b.db.Tenant(context.Background(), b.tenant).TasksAbout(digest)
		require.NoError(t, err)
		require.Equal(t, 1, task[0].Attempts)
		b.requireExactLedger(t)
	})
}

// awayBucket is a real bucket that is away for the next puts.
type awayBucket struct {
	blob.Bucket
	failures int
}

func (a *awayBucket) Put(ctx context.Context, key string, r io.Reader, size int64, o blob.PutOptions) error {
	if a.failures > 0 {
		a.failures--
		_, _ = io.CopyN(io.Discard, r, size/2) // it took a part before it went
		return fmt.Errorf("put %s: %w", key, blob.ErrUnavailable)
	}
	return a.Bucket.Put(ctx, key, r, size, o)
}

// Where originals are withheld, their streams are not copied into a variant either.
func TestVariantsOnlyCopiesNothing(t *testing.T) {
	onSQLite(t, func(t *testing.T, b *bench) {
		b.withVideos(t, ffmpeg.Limits{})
		content := clip(t, mediatest.Plain)
		profile := func(content []byte, spec quota.Spec) string {
			b.plan(t, spec)
			_, digest := b.cleanVideo(t, content)
			require.NoError(t, b.attempt(t, storage.TaskVideo, digest))
			v, err := b.db.Tenant(context.Background(), b.tenant).Variant(digest, "h264")
			require.NoError(t, err)
			file := filepath.Join(t.TempDir(), "h264.mp4")
			require.NoError(t, os.WriteFile(file, b.read(t, storage.ZoneClean, v.Key()), 0o600))
			return mediatest.Probe(t, file).Of("video")[0].Profile
		}
		spec := quota.Spec{Transcoding: true, VideoPresets: []string{"h264"}}
		require.NotEqual(t, "High", profile(content, spec), "the clip is copied as it is")
		spec.Serve = quota.ServeVariantsOnly
		require.Equal(t, "High", profile(append(bytes.Clone(content), 0, 0, 0, 8, 'f', 'r', 'e', 'e'), spec), "and here it is encoded")
	})
}

// A plan bounds the shorter side of what it gets, whichever way the film is held; the tenant's own override holds at once.
func TestPlanLowersTheHeightOfVideos(t *testing.T) {
	onSQLite(t, func(t *testing.T, b *bench) {
		b.withVideos(t, ffmpeg.Limits{})
		b.plan(t, quota.Spec{Transcoding: true, VideoPresets: []string{"h264"}, MaxVideoHeight: 144})
		content := clip(t, mediatest.Plain)
		height := func(content []byte) (height int64) {
			_, digest := b.cleanVideo(t, content)
			require.NoError(t, b.attempt(t, storage.TaskVideo, digest))
			v, err := b.db.Tenant(context.Background(), b.tenant).Variant(digest, "h264")
			require.NoError(t, err)
			return min(v.Width, v.Height)
		}
		require.EqualValues(t, 144, height(content))
		b.inTx(t, func(tx *meta.Tx) error {
			_, err := tx.Exec(`UPDATE tenants SET overrides = ? WHERE id = ?`, `{"max_video_height":96}`, b.tenant)
			return err
		})
		require.EqualValues(t, 96, height(append(bytes.Clone(content), 0, 0, 0, 8, 'f', 'r', 'e', 'e')))
	})
}
