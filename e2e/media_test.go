package e2e

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/e2e/rig"
	"gatehouse/storage"
	"gatehouse/worker/mediatest"
)

// clip uploads a video.
func clip(t *testing.T, c *rig.Client, v mediatest.Clip) rig.Asset {
	t.Helper()
	content, err := os.ReadFile(v.Path)
	require.NoError(t, err)
	a, err := c.Upload(filepath.Base(v.Path), content)
	require.NoError(t, err)
	return a
}

func presets(a rig.Asset) (names []string) {
	for _, v := range a.Media.Variants {
		names = append(names, v.Preset)
	}
	slices.Sort(names)
	return names
}

func TestVideoBecomesPosterAndH264(t *testing.T) {
	eachMode(t, rig.Options{}, func(t *testing.T, r *rig.Rig) {
		c := r.Tenant("acme", "pro")
		v := mediatest.Video(t, mediatest.PortraitMOV)
		a := clip(t, c, v)
		events, err := c.Events(a.ID)
		require.NoError(t, err)
		require.Contains(t, events, "variant_ready")
		require.Equal(t, "end", events[len(events)-1])

		a = c.Await(a.ID, patience, rig.Ready)
		require.Equal(t, "done", a.Media.Status, a.Media.Error)
		require.Equal(t, []string{"h264", "poster"}, presets(a))
		require.Equal(t, []int{v.Width, v.Height}, []int{a.Media.Width, a.Media.Height}, "upright")
		require.InDelta(t, v.Seconds, a.Media.Duration, 0.2)
		require.InDelta(t, v.FPS, a.Media.FPS, 1)
		require.Equal(t, "h264 aac", a.Media.Video+" "+a.Media.Audio)
		require.Regexp(t, regexp.MustCompile(`^#[0-9a-f]{6}$`), a.Media.Color)
		hash, err := base64.StdEncoding.DecodeString(a.Media.Hash)
		require.NoError(t, err)
		require.NotEmpty(t, hash)

		film, err := c.Bytes("/api/v1/assets/" + a.ID + "/variants/h264")
		require.NoError(t, err)
		require.NotContains(t, string(film), mediatest.Place, "where it was taken is gone")
		file := filepath.Join(t.TempDir(), "h264.mp4")
		require.NoError(t, os.WriteFile(file, film, 0o600))
		probed := mediatest.Probe(t, file)
		require.Len(t, probed.Of("video"), 1)
		require.Equal(t, []int{v.Width, v.Height}, []int{probed.Of("video")[0].Width, probed.Of("video")[0].Height})
		mediatest.Looks(t, mediatest.Frame(t, file, 1, false), v.Spots)

		poster, err := c.Bytes("/api/v1/assets/" + a.ID + "/variants/poster")
		require.NoError(t, err)
		mediatest.Looks(t, mediatest.DecodeWebP(t, poster), v.Spots)
		require.Equal(t, usage(t, c).Used, a.Size+int64(len(film)+len(poster)), "the ledger counts every variant")
	})
}

func TestVideosOfAPlanWithoutTranscodingStayAsTheyAre(t *testing.T) {
	r := rig.Embedded(t, rig.Options{})
	c := r.Tenant("small", "free")
	a := clip(t, c, mediatest.Video(t, mediatest.Plain))
	a = c.Await(a.ID, patience, rig.Ready)
	require.Equal(t, "available none", a.State+" "+a.Media.Status)
}

func TestVariantsOnlyNeverServesAnOriginal(t *testing.T) {
	r := rig.Embedded(t, rig.Options{Env: map[string]string{"GATEHOUSE_PLANS_PRO_SERVE": "variants_only"}})
	c := r.Tenant("careful", "pro")
	picture, err := c.Upload("a.jpg", photo(t, 400, 300))
	require.NoError(t, err)
	film := clip(t, c, mediatest.Video(t, mediatest.Plain))
	note, err := c.Upload("a.txt", text(t, 100))
	require.NoError(t, err)
	for _, id := range []string{picture.ID, film.ID} {
		a := c.Await(id, patience, rig.Ready)
		require.Equal(t, "done", a.Media.Status, a.Media.Error)
		_, err := c.Bytes("/api/v1/assets/" + id + "/content")
		require.Equal(t, "PLAN_FORBIDS", rig.CodeOf(err))
		require.ErrorContains(t, err, "web-ready forms")
		require.Equal(t, "PLAN_FORBIDS", rig.CodeOf(c.Post("/api/v1/assets/"+id+"/links", map[string]any{}, nil)))
		variant, err := c.Bytes("/api/v1/assets/" + id + "/variants/" + presets(a)[0])
		require.NoError(t, err)
		require.NotEmpty(t, variant)
		require.NoError(t, c.Post("/api/v1/assets/"+id+"/links", map[string]any{"variant": presets(a)[0]}, nil))
	}
	c.Await(note.ID, patience, rig.Ready)
	_, err = c.Bytes("/api/v1/assets/" + note.ID + "/content")
	require.NoError(t, err, "a document has no variants and is served as it is")
}

// transcoding waits until the worker's ffmpeg is at the variant itself and has come some way.
func transcoding(t *testing.T, r *rig.Rig, c *rig.Client, id string) (worker int) {
	t.Helper()
	require.Eventually(t, func() bool {
		for i, w := range r.Workers {
			if slices.Contains(w.Tree().Command("ffmpeg"), "libx264") {
				worker = i
				a, err := c.Asset(id)
				return err == nil && a.Media.Progress > 0.03
			}
		}
		return false
	}, patience, 20*time.Millisecond)
	return worker
}

func TestDeletedVideoStopsItsProcess(t *testing.T) {
	r := rig.Embedded(t, rig.Options{})
	c := r.Tenant("acme", "pro")
	a := clip(t, c, mediatest.Long(t, 120, 90))
	transcoding(t, r, c, a.ID)
	require.NoError(t, c.Delete(a.ID))
	began := time.Now()
	require.Eventually(t, func() bool { return !r.Workers[0].Tree().Running("ffmpeg") }, 30*time.Second, 10*time.Millisecond)
	t.Logf("ffmpeg was gone %s after the deletion was answered", time.Since(began).Round(time.Millisecond))

	require.Eventually(t, func() bool {
		left, err := filepath.Glob(filepath.Join(r.Dir, "data", "work", "*"))
		return err == nil && len(left) == 0
	}, patience, 20*time.Millisecond, "no private folder is left")
	b := clip(t, c, mediatest.Video(t, mediatest.Plain))
	require.Equal(t, "done", c.Await(b.ID, patience, rig.Ready).Media.Status, "the lane goes on")
	// The same bytes again: their variants were given up half-way and are made after all.
	again := clip(t, c, mediatest.Long(t, 120, 90))
	require.True(t, again.Duplicate)
	transcoding(t, r, c, again.ID)
}

// TestWorkerDiesInTheMiddleOfATranscode kills the worker that transcodes: the other takes over when the lease has run
// out, and nothing is published twice.
func TestWorkerDiesInTheMiddleOfATranscode(t *testing.T) {
	r := rig.Distributed(t, rig.Options{Workers: 2, Env: map[string]string{
		"GATEHOUSE_TASKS_LEASE": "4s", "GATEHOUSE_TASKS_HEARTBEAT": "1s",
	}})
	c := r.Tenant("acme", "pro")
	a := clip(t, c, mediatest.Long(t, 40, 40))
	dying := transcoding(t, r, c, a.ID)
	r.Workers[dying].Kill()
	killed := time.Now()
	other := r.Workers[1-dying]
	require.Eventually(t, func() bool { return other.Tree().Running("ffmpeg") }, patience, 20*time.Millisecond)
	t.Logf("the other worker took over %s after the kill, with a lease of 4s", time.Since(killed).Round(time.Millisecond))

	got := c.Await(a.ID, 5*time.Minute, rig.Ready)
	require.Equal(t, "done", got.Media.Status, got.Media.Error)
	require.Equal(t, []string{"h264", "poster"}, presets(got))
	var bytesOfVariants int64
	for _, v := range got.Media.Variants {
		raw, err := c.Bytes("/api/v1/assets/" + a.ID + "/variants/" + v.Preset)
		require.NoError(t, err)
		require.EqualValues(t, v.Size, len(raw))
		bytesOfVariants += v.Size
	}
	require.Equal(t, a.Size+bytesOfVariants, usage(t, c).Used, "each variant is charged once")
	events, err := c.Events(a.ID)
	require.NoError(t, err)
	ready := 0
	for _, e := range events {
		if e == "variant_ready" {
			ready++
		}
	}
	require.Equal(t, 2, ready, "nothing is published twice")
}

func TestVideoOverALimitFailsWithAReasonAndKeepsItsOriginal(t *testing.T) {
	r := rig.Embedded(t, rig.Options{Env: map[string]string{"GATEHOUSE_VIDEOS_MAX_DURATION": "1s"}})
	c := r.Tenant("acme", "pro")
	v := mediatest.Video(t, mediatest.Plain)
	a := clip(t, c, v)
	a = c.Await(a.ID, patience, rig.Ready)
	require.Equal(t, "available failed video_too_long", a.State+" "+a.Media.Status+" "+a.Media.Reason)
	require.Equal(t, storage.ReasonVideoTooLong.English, a.Media.Error)
	chinese := *c
	chinese.HTTP = &http.Client{Transport: speaking("zh-CN")}
	requireTold(t, &chinese, a.ID, storage.ReasonVideoTooLong)
	require.Equal(t, storage.ReasonVideoTooLong.Chinese, clip(t, &chinese, v).Media.Error, "the same bytes again")
	original, err := c.Bytes("/api/v1/assets/" + a.ID + "/content")
	require.NoError(t, err)
	content, err := os.ReadFile(v.Path)
	require.NoError(t, err)
	require.True(t, bytes.Equal(content, original))
}

// speaking asks for answers in a language.
type speaking string

func (language speaking) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("Accept-Language", string(language))
	return http.DefaultTransport.RoundTrip(req)
}

// requireTold looks for the Chinese sentence wherever an asset is shown.
func requireTold(t *testing.T, c *rig.Client, id string, why storage.Reason) {
	t.Helper()
	var one rig.Asset
	require.NoError(t, c.Get("/api/v1/assets/"+id, &one))
	require.Equal(t, why.Chinese, one.Media.Error)
	var page struct {
		Items []rig.Asset `json:"items"`
	}
	require.NoError(t, c.Get("/api/v1/assets", &page))
	require.Equal(t, why.Chinese, page.Items[0].Media.Error)
	events, err := c.Bytes("/api/v1/assets/" + id + "/events")
	require.NoError(t, err)
	require.Contains(t, string(events), `"data":{"error":"`+why.Chinese)
	require.NotContains(t, string(events), why.English)
}
