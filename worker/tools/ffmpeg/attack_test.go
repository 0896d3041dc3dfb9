package ffmpeg

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/storage"
)

// attempt takes a file all the way, and gives everything that came out of it, errors included.
func attempt(t testing.TB, r *Runner, path string) (all []byte, err error) {
	t.Helper()
	v, err := tryOpen(r, path)
	if err != nil {
		return []byte(err.Error()), err
	}
	defer func() { require.NoError(t, v.Close()) }()
	take := func(f *os.File) {
		b, rerr := io.ReadAll(f)
		require.NoError(t, rerr)
		require.NoError(t, f.Close())
		all = append(all, b...)
	}
	poster, err := v.Poster(t.Context())
	if err == nil {
		take(poster)
	}
	out, err2 := v.Transcode(t.Context(), small, nil)
	if err2 == nil {
		take(out.File)
	}
	err = errors.Join(err, err2)
	if err != nil {
		all = append(all, err.Error()...)
	}
	return all, err
}

// TestDisguises has files that would open others, under the names and in the clothes of videos.
func TestDisguises(t *testing.T) {
	r := runner(t, Config{})
	const secret = "PLANTED-S3CRET-TEXT"
	dir := t.TempDir()
	planted := filepath.Join(dir, "planted.txt")
	require.NoError(t, os.WriteFile(planted, []byte(strings.Repeat(secret+"\n", 100)), 0o644))
	movie := clip(t, "movie.mp4", lavfi+"testsrc2=s=64x64:d=0.5"+x264)
	avi := clip(t, "in.avi", lavfi+"testsrc2=s=320x180:d=1 -c:v mpeg4")
	aviBytes, err := os.ReadFile(avi)
	require.NoError(t, err)
	ftyp := []byte("\x00\x00\x00\x14ftypisom\x00\x00\x02\x00isom")
	ebml := []byte("\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm")
	playlists := map[string]string{
		"m3u8":   "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://" + planted + "\n#EXT-X-ENDLIST\n",
		"movie":  "#EXTM3U\n#EXTINF:1,\nfile://" + movie + "\n#EXT-X-ENDLIST\n",
		"concat": "ffconcat version 1.0\nfile " + planted + "\n",
		"sdp":    "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
		"dash":   `<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>file://` + planted + `</BaseURL></MPD>`,
		"avi":    string(aviBytes),
	}
	for name, text := range playlists {
		for cover, head := range map[string][]byte{"bare": nil, "ftyp": ftyp, "ebml": ebml} {
			path := filepath.Join(dir, name+"-"+cover+".mp4")
			require.NoError(t, os.WriteFile(path, append(bytes.Clone(head), text...), 0o600))
			all, err := attempt(t, r, path)
			require.ErrorIs(t, err, ErrUnplayable, path)
			require.NotContains(t, string(all), secret)
			if cover == "bare" {
				unplayable(t, err, storage.ReasonVideoFormat)
			}
		}
	}
}

// TestReferencesToOtherFiles has a QuickTime film whose data lie in another file, as its dref says.
func TestReferencesToOtherFiles(t *testing.T) {
	movie := clip(t, "movie.mov", lavfi+quarters+" -movflags +faststart"+x264)
	b, err := os.ReadFile(movie)
	require.NoError(t, err)
	// An alias record (Apple's Alias Manager, version 2) to the very film, in place of "in this file".
	dref := bytes.Index(b, []byte("dref"))
	require.Positive(t, dref)
	record := make([]byte, 150)
	binary.BigEndian.PutUint16(record[6:], 2)
	volume := "Macintosh HD"
	record[10] = byte(len(volume))
	copy(record[11:], volume)
	path := volume + movie + strings.Repeat("\x00", len(volume+movie)%2)
	record = binary.BigEndian.AppendUint16(record, 2) // an absolute path
	record = binary.BigEndian.AppendUint16(record, uint16(len(path)))
	record = append(append(record, path...), 0xff, 0xff, 0, 0)
	binary.BigEndian.PutUint16(record[4:], uint16(len(record)))
	entry := binary.BigEndian.AppendUint32(nil, uint32(12+len(record)))
	entry = append(append(entry, "alis\x00\x00\x00\x00"...), record...)
	// The film's index alone, with the longer dref; the data are only in the other file.
	moov := bytes.Index(b, []byte("moov")) - 4
	index := bytes.Clone(b[:moov+int(binary.BigEndian.Uint32(b[moov:]))])
	at := dref + 12
	old := int(binary.BigEndian.Uint32(index[at:]))
	grown := append(append(bytes.Clone(index[:at]), entry...), index[at+old:]...)
	for _, parent := range []string{"moov", "trak", "mdia", "minf", "dinf", "dref"} {
		p := bytes.Index(grown, []byte(parent)) - 4
		binary.BigEndian.PutUint32(grown[p:], binary.BigEndian.Uint32(grown[p:])+uint32(len(entry)-old))
	}
	film := filepath.Join(t.TempDir(), "film.mov")
	require.NoError(t, os.WriteFile(film, grown, 0o600))

	out, err := exec.Command("ffmpeg", "-hide_banner", "-nostdin", "-enable_drefs", "1", "-use_absolute_path", "1", "-i", film, "-f", "null", "-").CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "frame=   30", "with references allowed it plays: the attack is real. %s", out)

	_, err = attempt(t, runner(t, Config{}), film)
	unplayable(t, err, storage.ReasonVideoDamaged)
}

func TestTruncated(t *testing.T) {
	r := runner(t, Config{})
	for name, args := range map[string]string{
		"in.mp4":  lavfi + "testsrc2=s=160x90:d=2" + x264 + "-movflags +faststart",
		"end.mov": lavfi + "testsrc2=s=160x90:d=2" + x264,
		"in.mkv":  lavfi + "testsrc2=s=160x90:d=2" + x264,
		"in.webm": lavfi + "testsrc2=s=160x90:d=2 -c:v libvpx -deadline realtime -cpu-used 8",
	} {
		b, err := os.ReadFile(clip(t, name, args))
		require.NoError(t, err)
		for cut := range 10 {
			path := filepath.Join(t.TempDir(), name)
			require.NoError(t, os.WriteFile(path, b[:len(b)*cut/10], 0o600))
			if _, err := attempt(t, r, path); err != nil || cut < 9 { // the last tenth may be an index and a few frames
				require.ErrorIs(t, err, ErrUnplayable, "%s cut at %d/10", name, cut)
			}
		}
	}
}

// TestMutated changes bytes at random: each file plays or is refused, and nothing else happens.
func TestMutated(t *testing.T) {
	r := runner(t, Config{Limits: Limits{Timeout: 20 * time.Second}})
	random := rand.New(rand.NewPCG(1, 2))
	for name, args := range map[string]string{
		"in.mp4": lavfi + "testsrc2=s=64x64:d=0.2" + tone + "-movflags +faststart -t 0.2" + x264,
		"in.mkv": lavfi + "testsrc2=s=64x64:d=0.2" + tone + "-t 0.2" + x264,
	} {
		b, err := os.ReadFile(clip(t, name, args))
		require.NoError(t, err)
		for range 8 {
			bad := bytes.Clone(b)
			for range 1 + random.IntN(20) {
				bad[16+random.IntN(min(len(bad), 4000)-16)] = byte(random.Uint32())
			}
			path := filepath.Join(t.TempDir(), name)
			require.NoError(t, os.WriteFile(path, bad, 0o600))
			if _, err := attempt(t, r, path); err != nil {
				require.ErrorIs(t, err, ErrUnplayable)
			}
		}
	}
}

func TestGarbage(t *testing.T) {
	r := runner(t, Config{})
	random := rand.New(rand.NewPCG(3, 4))
	noise := make([]byte, 100_000)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	for _, head := range []string{"", "x", "\x00\x00\x00\x18ftypmp42", "\x00\x00\x00\x18moov", "\x1a\x45\xdf\xa3", "\x00\x00\x00\x00mdat", "GIF89a"} {
		for _, rest := range [][]byte{nil, noise} {
			_, err := r.Open(t.Context(), bytes.NewReader(append([]byte(head), rest...)))
			require.ErrorIs(t, err, ErrUnplayable, "%q", head)
		}
	}
}

func TestCodecs(t *testing.T) {
	r := runner(t, Config{})
	for _, args := range []string{
		lavfi + "testsrc2=s=64x64:d=0.2 -c:v libtheora",
		lavfi + "testsrc2=s=64x64:d=0.2 -c:v ffv1",
		lavfi + "testsrc2=s=64x64:d=0.2 " + lavfi + "sine=d=0.2:r=48000 -c:a dca -strict -2" + x264,
	} {
		_, err := tryOpen(r, clip(t, "in.mkv", args))
		unplayable(t, err, storage.ReasonVideoCodec)
	}
	_, err := tryOpen(r, clip(t, "in.mp4", lavfi+"sine=d=0.2 -c:a aac"))
	unplayable(t, err, storage.ReasonVideoNoPicture)
}

// TestSoundThatIsMissing has sound tracks of which nothing is left in a result.
func TestSoundThatIsMissing(t *testing.T) {
	r := runner(t, Config{})
	const picture = lavfi + "color=red:s=64x64:r=60:d=2 " + lavfi + "sine=d=2:r=48000 -shortest" + x264
	for name, row := range map[string]struct {
		file, args string
		damaged    bool
	}{
		"nothing recorded":            {"in.mkv", picture + "-c:a aac -frames:a 0", false},
		"nothing recorded, to encode": {"in.mkv", picture + "-c:a ac3 -frames:a 0", false},
		"nothing to decode":           {"in.mov", picture + "-c:a alac", true},
		"nothing to decode, nor copy": {"in.mov", strings.Replace(picture, "yuv420p", "yuv444p", 1) + "-c:a alac", true},
	} {
		t.Run(name, func(t *testing.T) {
			path := clip(t, row.file, row.args)
			if row.damaged {
				spoilSound(t, path)
			}
			v := open(t, r, path)
			require.NotNil(t, v.media.audio)
			out, err := v.Transcode(t.Context(), small, nil)
			if row.damaged {
				unplayable(t, err, storage.ReasonVideoDamaged)
				require.ErrorContains(t, err, "of sound could not be decoded")
				return
			}
			require.NoError(t, err)
			require.Nil(t, keep(t, out).audio)
		})
	}
}

// spoilSound overwrites the packets of ALAC with what it knows no element for.
func spoilSound(t testing.TB, mov string) {
	t.Helper()
	text, err := exec.Command("ffprobe", "-v", "error", "-select_streams", "a", "-show_entries", "packet=pos,size", "-of", "default=nw=1:nk=1", mov).Output()
	require.NoError(t, err)
	f, err := os.OpenFile(mov, os.O_WRONLY, 0)
	require.NoError(t, err)
	defer f.Close()
	numbers := strings.Fields(string(text))
	require.NotEmpty(t, numbers)
	for i := 0; i+1 < len(numbers); i += 2 {
		size, err := strconv.Atoi(numbers[i])
		require.NoError(t, err)
		at, err := strconv.ParseInt(numbers[i+1], 10, 64)
		require.NoError(t, err)
		_, err = f.WriteAt(bytes.Repeat([]byte{0xaa}, size), at)
		require.NoError(t, err)
	}
}

// TestLimits has one clip and a limit below each of its measures.
func TestLimits(t *testing.T) {
	in := clip(t, "in.mkv", lavfi+"testsrc2=s=320x180:r=30:d=4 "+lavfi+"sine=d=4"+x264+aac)
	for _, row := range []struct {
		limits Limits
		reason string
	}{
		{Limits{MaxDuration: 3 * time.Second}, storage.ReasonVideoTooLong.Slug},
		{Limits{MaxPixels: 320*180 - 1}, storage.ReasonVideoTooManyPixels.Slug},
		{Limits{MaxStreams: 1}, storage.ReasonVideoTooManyStreams.Slug},
		{Limits{MaxBitRate: 10_000}, storage.ReasonVideoBitRate.Slug},
		{Limits{MaxBytes: 1000}, storage.ReasonVideoTooLarge.Slug},
		{Limits{MaxOutputBytes: 10_000}, storage.ReasonVideoOutputTooLarge.Slug},
	} {
		r := runner(t, Config{Limits: row.limits})
		v, err := tryOpen(r, in)
		if err == nil {
			_, err = v.Transcode(t.Context(), Preset{Name: "x", Codec: H264, LongEdge: 320, MaxRate: 100_000}, nil)
			require.NoError(t, v.Close())
		}
		u, ok := errors.AsType[*Unplayable](err)
		require.True(t, ok, "%+v: %v", row.limits, err)
		require.Equal(t, row.reason, u.Reason.Slug, "%v", err)
	}
}

// TestCosts gives a clip a second of the processor, or a second by the clock.
func TestCosts(t *testing.T) {
	in := clip(t, "in.mp4", lavfi+"testsrc2=s=1280x720:r=30:d=4"+x264)
	for _, row := range []struct {
		limits Limits
		reason storage.Reason
	}{
		{Limits{CPU: time.Second}, storage.ReasonVideoTooSlow}, {Limits{Timeout: time.Second}, storage.ReasonVideoTooSlow},
	} {
		v, err := tryOpen(runner(t, Config{Limits: row.limits}), in)
		if err == nil { // on a busy machine looking at it can take a second
			_, err = v.Transcode(t.Context(), Preset{Name: "x", Codec: H264, LongEdge: 1280, MaxRate: 500_000, Speed: "slow"}, nil)
			require.NoError(t, v.Close())
		}
		unplayable(t, err, row.reason)
	}
}

// TestCancel ends a transcode in the middle: no process, no folder.
func TestCancel(t *testing.T) {
	in := clip(t, "in.mp4", lavfi+"testsrc2=s=1280x720:r=30:d=4"+x264)
	dir := t.TempDir()
	r := runner(t, Config{TempDir: dir})
	v := open(t, r, in)
	why := errors.New("nobody wants it")
	ctx, cancel := context.WithCancelCause(t.Context())
	began := time.Now()
	_, err := v.Transcode(ctx, Preset{Name: "x", Codec: H264, LongEdge: 1280, MaxRate: 500_000, Speed: "slow"}, func(float64) {
		if ctx.Err() == nil {
			began = time.Now()
			cancel(why)
		}
	})
	require.ErrorIs(t, err, why)
	require.NotErrorIs(t, err, ErrUnplayable)
	require.Less(t, time.Since(began), 2*time.Second)
	require.Empty(t, processesIn(t, dir))
	left, err := os.ReadDir(filepath.Join(v.folder.Path))
	require.NoError(t, err)
	require.Len(t, left, 1, "the input alone is left until Close")
}

// TestAskedToEnd signals the child alone in the middle of a transcode, as a service manager does that stops all
// processes of a worker: that says nothing about the video.
func TestAskedToEnd(t *testing.T) {
	in := clip(t, "in.mp4", lavfi+"testsrc2=s=1280x720:r=30:d=4"+x264)
	// Not SIGHUP: under nohup it is ignored, by the children too.
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			dir := t.TempDir()
			v := open(t, runner(t, Config{TempDir: dir}), in)
			var asked sync.Once
			_, err := v.Transcode(t.Context(), Preset{Name: "x", Codec: H264, LongEdge: 1280, MaxRate: 500_000, Speed: "slow"}, func(float64) {
				asked.Do(func() {
					for _, pid := range processesIn(t, dir) {
						assert.NoError(t, syscall.Kill(pid, signal))
					}
				})
			})
			require.Error(t, err)
			require.NotErrorIs(t, err, ErrUnplayable)
			require.NoError(t, t.Context().Err())
		})
	}
}

// processesIn are the processes whose command line names the folder.
func processesIn(t testing.TB, dir string) (pids []int) {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	require.NoError(t, err)
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if line, err := os.ReadFile("/proc/" + e.Name() + "/cmdline"); err == nil && bytes.Contains(line, []byte(dir)) {
			pids = append(pids, pid)
		}
	}
	return pids
}
