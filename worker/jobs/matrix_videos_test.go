package jobs_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/e2e/services"
	"gatehouse/quota"
	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
	"gatehouse/worker/jobs"
	"gatehouse/worker/mediatest"
	"gatehouse/worker/tools/ffmpeg"
	"gatehouse/worker/tools/vips"
)

// filmBench is a pictureBench that makes films too. No process and no file of them may be left at the end.
func filmBench(t *testing.T, c ffmpeg.Config, presets ...ffmpeg.Preset) *bench {
	t.Helper()
	b := pictureBench(t, vips.Config{Concurrency: 2, Threads: 1})
	b.useFilms(t, c)
	b.deps.VideoPresets, b.deps.VideoTimeout = presets, 5*time.Minute
	b.deps.Poster = vips.Preset{Name: storage.PresetPoster, LongEdge: 1280, Quality: 85, Effort: 2}
	return b.withFilmPlan(t)
}

// useFilms gives the bench another tool for films.
func (b *bench) useFilms(t *testing.T, c ffmpeg.Config) {
	t.Helper()
	c.TempDir, c.Require = t.TempDir(), true
	films, err := ffmpeg.NewRunner(c)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.Empty(t, processesIn(t, c.TempDir), "processes that live on")
		left, err := os.ReadDir(c.TempDir)
		require.NoError(t, err)
		require.Empty(t, left, "files that were left behind")
	})
	b.deps.Videos = films
}

// withFilmPlan has the bench's tenant get all presets for films.
func (b *bench) withFilmPlan(t *testing.T) *bench {
	t.Helper()
	s := quota.Spec{Transcoding: true}
	for _, p := range b.deps.VideoPresets {
		s.VideoPresets = append(s.VideoPresets, p.Name)
	}
	b.plan(t, s)
	return b
}

// processesIn are the processes whose command line names the folder, by their ids.
func processesIn(t testing.TB, folder string) map[int]string {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	found := map[int]string{}
	for _, name := range lines {
		line, err := os.ReadFile(name)
		if err != nil || !bytes.Contains(line, []byte(folder+"/")) {
			continue // it has ended, or has nothing to do with the folder
		}
		pid, err := strconv.Atoi(strings.Split(name, "/")[2])
		require.NoError(t, err)
		found[pid] = strings.ReplaceAll(string(line), "\x00", " ")
	}
	return found
}

var (
	webH264 = ffmpeg.Preset{Name: "h264", Codec: ffmpeg.H264, LongEdge: 1920}
	webH265 = ffmpeg.Preset{Name: "h265", Codec: ffmpeg.H265, LongEdge: 1920}
)

// What of a kind differs from H.264 and AAC, and from its own size.
var (
	codecsOf = map[mediatest.VideoKind]string{
		mediatest.HDR10: "hevc aac", mediatest.HLG: "hevc aac", mediatest.Silent: "h264 ",
		mediatest.MKV: "vp9 opus", mediatest.WebM: "vp8 vorbis",
	}
	webSizes = map[mediatest.VideoKind][2]int{mediatest.FourK60: {1920, 1080}, mediatest.OddSize: {640, 360}}
	stills   = map[mediatest.VideoKind][2]int{
		mediatest.FourK60: {1280, 720}, mediatest.PortraitMOV: {720, 1280}, mediatest.OddSize: {640, 360},
	}
	// copied are those whose picture the web can have as it is.
	copied = map[mediatest.VideoKind]bool{mediatest.Plain: true, mediatest.VFR: true, mediatest.Surround: true, mediatest.Silent: true}
)

// Every kind of video that phones, cameras and screens make comes out with the right size, colours, rate and sound,
// as every browser plays it, and without metadata.
func TestMatrixOfVideos(t *testing.T) {
	b := filmBench(t, ffmpeg.Config{Concurrency: 2, Threads: 1}, webH264)
	t.Run("kinds", func(t *testing.T) {
		for _, kind := range mediatest.VideoKinds() {
			t.Run(string(kind), func(t *testing.T) {
				t.Parallel()
				c := mediatest.Video(t, kind)
				path := b.checkWebFilm(t, c, webH264, b.checkFilm(t, c))
				if copied[kind] {
					same := mediatest.Frame(t, c.Path, 1, false).Pix
					require.True(t, bytes.Equal(same, mediatest.Frame(t, path, 1, false).Pix), "encoded instead of copied")
				}
			})
		}
	})
	asset, digest := b.cleanVideo(t, clip(t, mediatest.AVIInDisguise))
	require.True(t, jobs.IsPermanent(b.attempt(t, storage.TaskVideo, digest)))
	b.requireRefused(t, asset, digest, storage.ReasonVideoFormat)
	require.Empty(t, b.variants(t, digest))
}

func TestMatrixOfVideosOnPostgres(t *testing.T) {
	db := metatest.Open(t, services.PostgresDSN(t))
	require.NoError(t, db.Migrate(context.Background()))
	zones, err := blob.Open(context.Background(), blob.Config{Driver: blob.DriverDisk, Root: t.TempDir()})
	require.NoError(t, err)
	b := newBench(t, db, zones).withVideos(t, ffmpeg.Limits{})
	b.deps.VideoPresets = []ffmpeg.Preset{webH264}
	c := mediatest.Video(t, mediatest.OddSize)
	b.checkWebFilm(t, c, webH264, b.checkFilm(t, c))
	b.requireExactLedger(t)
}

// H.265 is a plan's choice.
func TestMatrixOfVideosAsH265(t *testing.T) {
	b := filmBench(t, ffmpeg.Config{}, webH265)
	c := mediatest.Video(t, mediatest.Anamorphic)
	b.checkWebFilm(t, c, webH265, b.checkFilm(t, c))
	b.requireExactLedger(t)
}

// checkFilm takes a clip through scan and video job, and holds the row and the poster to what is true of the clip.
func (b *bench) checkFilm(t *testing.T, c mediatest.Clip) (digest string) {
	t.Helper()
	asset, digest := b.cleanVideo(t, clip(t, c.Kind))
	require.NoError(t, b.attempt(t, storage.TaskVideo, digest))
	row := b.blob(t, digest)
	require.Equal(t, storage.MediaDone, row.MediaStatus, row.MediaError)
	require.InDelta(t, 1, row.MediaProgress, 0)
	require.Equal(t, storage.AssetAvailable, b.stateOf(t, asset))
	require.Equal(t, [2]int64{int64(c.Width), int64(c.Height)}, [2]int64{row.Width, row.Height}, "the size as it is shown")
	require.InDelta(t, c.Seconds*1000, row.DurationMS, 150)
	codecs, special := codecsOf[c.Kind]
	if !special {
		codecs = "h264 aac"
	}
	require.Equal(t, codecs, row.VideoCodec+" "+row.AudioCodec)
	if c.Kind == mediatest.VFR {
		require.Less(t, row.FPS, float64(c.FPS), "the mean")
		require.Positive(t, row.FPS)
	} else {
		require.InDelta(t, c.FPS, row.FPS, 0.5)
	}
	if !c.HDR { // whose spots are rough
		looksLikePlaceholder(t, row, mediatest.File{Width: c.Width, Height: c.Height, Spots: c.Spots})
	}
	require.Len(t, b.variants(t, digest), 1+len(b.deps.VideoPresets))
	b.checkStill(t, c, digest)
	return digest
}

// checkStill holds the poster to the clip's colours.
func (b *bench) checkStill(t *testing.T, c mediatest.Clip, digest string) {
	t.Helper()
	v, content := b.variant(t, digest, storage.PresetPoster)
	require.Equal(t, "image/webp", v.MediaType)
	still := mediatest.DecodeWebP(t, content)
	size, special := stills[c.Kind]
	if !special {
		size = [2]int{c.Width, c.Height}
	}
	require.Equal(t, size, [2]int{still.Rect.Dx(), still.Rect.Dy()}, "the poster's size")
	spots := slices.Clone(c.Spots)
	for i := range spots {
		spots[i].Tolerance += 6 // for what WebP does to colours
	}
	mediatest.Looks(t, still, spots)
}

// checkWebFilm holds a variant to what every browser plays and to the clip's colours, and returns a file with it.
func (b *bench) checkWebFilm(t *testing.T, c mediatest.Clip, p ffmpeg.Preset, digest string) (path string) {
	t.Helper()
	v, content := b.variant(t, digest, p.Name)
	require.Equal(t, "video/mp4", v.MediaType)
	path = filepath.Join(t.TempDir(), "variant.mp4")
	require.NoError(t, os.WriteFile(path, content, 0o600))
	moov, mdat := bytes.Index(content, []byte("moov")), bytes.Index(content, []byte("mdat"))
	require.True(t, 0 < moov && moov < mdat, "the index is at %d, behind the data at %d", moov, mdat)
	for _, word := range []string{mediatest.Place, "location", "Apple", "Lavf", "x264 - core", "x265 (build"} {
		require.False(t, bytes.Contains(content, []byte(word)), "%q is in the variant", word)
	}

	got := mediatest.Probe(t, path)
	require.InDelta(t, c.Seconds, got.Format.Duration, 0.2)
	for key := range got.Format.Tags {
		require.Contains(t, []string{"major_brand", "minor_version", "compatible_brands"}, key, "a tag of the file")
	}
	require.Len(t, got.Of("video"), 1)
	checkPicture(t, c, p, got.Of("video")[0])
	require.EqualValues(t, v.Width, got.Of("video")[0].Width)
	require.EqualValues(t, v.Height, got.Of("video")[0].Height)
	sound := got.Of("audio")
	require.Len(t, sound, min(1, c.Channels))
	if c.Channels > 0 {
		require.Equal(t, "aac LC 2", sound[0].Codec+" "+sound[0].Profile+" "+strconv.Itoa(sound[0].Channels))
	}
	require.Len(t, got.Streams, 1+len(sound), "nothing but picture and sound")
	for _, s := range got.Streams {
		for key, value := range s.Tags {
			require.Contains(t, []string{"language und", "handler_name VideoHandler", "handler_name SoundHandler", "vendor_id [0][0][0][0]"},
				key+" "+value, "a tag of a stream")
		}
	}
	b.compareFrames(t, c, path)
	return path
}

// checkPicture holds the track of pictures to the rules for all variants.
func checkPicture(t *testing.T, c mediatest.Clip, p ffmpeg.Preset, s mediatest.Stream) {
	t.Helper()
	size, special := webSizes[c.Kind]
	if !special {
		size = [2]int{c.Width, c.Height}
	}
	require.Equal(t, size, [2]int{s.Width, s.Height})
	require.Zero(t, s.Width%2+s.Height%2, "odd")
	require.Equal(t, "1:1", s.PixelShape)
	require.Zero(t, s.Rotation())
	require.Empty(t, s.SideData)
	require.Equal(t, "yuv420p", s.PixelFormat)
	codec := map[ffmpeg.Codec]string{ffmpeg.H264: "h264 avc1", ffmpeg.H265: "hevc hvc1"}[p.Codec]
	require.Equal(t, codec, s.Codec+" "+s.Tag)
	profile := map[ffmpeg.Codec]string{ffmpeg.H264: "High", ffmpeg.H265: "Main"}[p.Codec]
	if !copied[c.Kind] {
		require.Equal(t, profile, s.Profile)
	}
	require.LessOrEqual(t, rate(t, s.MeanRate), 60.5)
	if c.Kind != mediatest.VFR {
		require.InDelta(t, min(60, c.FPS), rate(t, s.MeanRate), 0.5)
	}
	if c.HDR {
		require.Equal(t, "bt709 bt709 bt709 tv", s.Primaries+" "+s.Transfer+" "+s.Matrix+" "+s.Range)
	}
}

// rate is ffprobe's fraction, in frames a second.
func rate(t *testing.T, fraction string) float64 {
	t.Helper()
	over, under, ok := strings.Cut(fraction, "/")
	require.True(t, ok, fraction)
	a, err := strconv.ParseFloat(over, 64)
	require.NoError(t, err)
	b, err := strconv.ParseFloat(under, 64)
	require.NoError(t, err)
	return a / b
}

// compareFrames holds one frame of a variant to the clip's colours, and to the same frame of the clip.
func (b *bench) compareFrames(t *testing.T, c mediatest.Clip, path string) {
	t.Helper()
	const at = 0.15
	got := mediatest.Frame(t, path, at, false)
	mediatest.Looks(t, got, c.Spots)
	want := mediatest.Frame(t, c.Path, at, c.HDR)
	if want.Rect.Size() == got.Rect.Size() { // who scales it here would compare two scalers
		require.Greater(t, mediatest.SSIM(t, want, got), 0.95)
	}
}

// variant is a variant's row and its bytes, which must fit.
func (b *bench) variant(t *testing.T, digest, preset string) (meta.Variant, []byte) {
	t.Helper()
	for _, v := range b.variants(t, digest) {
		if v.Preset == preset {
			content := b.read(t, storage.ZoneClean, v.Key())
			require.Equal(t, v.Digest, digestOf(content))
			require.EqualValues(t, len(content), v.Size)
			return v, content
		}
	}
	require.Fail(t, "there is no variant "+preset)
	return meta.Variant{}, nil
}

// requireRefused holds a film that cannot be made web-ready to its reason; the original stays.
func (b *bench) requireRefused(t *testing.T, asset, digest string, reason storage.Reason) {
	t.Helper()
	row := b.blob(t, digest)
	require.Equal(t, storage.MediaFailed, row.MediaStatus)
	require.Equal(t, reason.Slug+" "+reason.English, row.MediaReason+" "+row.MediaError)
	require.Equal(t, storage.AssetAvailable, b.stateOf(t, asset), "the original stays readable")
	require.Equal(t, digest, digestOf(b.read(t, storage.ZoneClean, storage.BlobKey(b.tenant, digest))))
	_, open := b.open(t, storage.TaskVideo, digest)
	require.False(t, open, "a stuck task")
	b.requireExactLedger(t)
}
