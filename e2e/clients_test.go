package e2e

import (
	"crypto/rand"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/e2e/rig"
)

// tooLarge is far more than the largest video: no client is at the end of its upload when the gateway has said no.
const tooLarge = 150_000_000

// step is an attempt and what must come of it: a refusal's code, or an asset of that name.
type step struct {
	what string
	attempt
	code string
	name string
}

// TestClientsUploadAndSeeRefusals lets each client go through good and bad files in one session. After every refusal
// the session goes on with a good file.
func TestClientsUploadAndSeeRefusals(t *testing.T) {
	r := rig.Embedded(t, rig.Options{Env: map[string]string{"GATEHOUSE_PLANS_FREE_STORAGE_BYTES": "1048576"}})
	movie := film(t)
	for _, cl := range clients() {
		t.Run(cl.name, func(t *testing.T) {
			c, full := r.Tenant(cl.name, "pro"), r.Tenant(cl.name+" full", "free")
			steps := journey(t, movie, c.Key, full.Key)
			assets := check(t, steps, cl.session(t, c.URL, attempts(steps)))

			for i, s := range steps {
				if s.code != "" {
					continue
				}
				sent, err := os.ReadFile(s.File)
				require.NoError(t, err)
				a := c.Await(assets[i].ID, patience, rig.Scanned)
				if s.what == "malware" {
					require.Equal(t, "rejected", a.State)
					continue
				}
				require.Equal(t, "available", a.State, s.what)
				got, err := c.Bytes("/api/v1/assets/" + a.ID + "/content")
				require.NoError(t, err, s.what)
				require.True(t, slices.Equal(sent, got), "%s comes back byte for byte", s.what)
			}
			require.Zero(t, usage(t, c).Reserved)
			require.Equal(t, usageView{Quota: 1 << 20}, usage(t, full), "refusals leave nothing")
		})
	}
}

// journey is what one session does, with the key of a tenant that has room and of one that has not.
func journey(t *testing.T, movie, key, full string) []step {
	dir := files{t: t, dir: t.TempDir()}
	good := func() step {
		return step{"photo", attempt{dir.add("photo.jpg", photo(t, 64, 48)), key}, "", "photo.jpg"}
	}
	bad := func(what, code, file, key string) step { return step{what, attempt{file, key}, code, ""} }
	steps := []step{good()}
	for _, s := range []step{
		bad("wrong extension", "EXTENSION_NOT_ALLOWED", dir.add("setup.exe", []byte("MZ, a program")), key),
		bad("wrong type", "TYPE_MISMATCH", dir.add("photo.png", photo(t, 64, 48)), key),
		bad("wrong type, large", "TYPE_MISMATCH", dir.copy("film.webm", movie), key),
		bad("dangerous name", "FILENAME_INVALID", dir.add("invoice.exe.pdf", []byte("%PDF-1.7\n")), key),
		bad("empty", "FILE_EMPTY", dir.add("empty.txt", nil), key),
		bad("no key", "UNAUTHENTICATED", dir.add("photo.jpg", photo(t, 64, 48)), ""),
		bad("wrong key", "UNAUTHENTICATED", dir.add("photo.jpg", photo(t, 64, 48)), "ghk_"+rand.Text()),
		bad("no key, large", "UNAUTHENTICATED", dir.copy("film.mp4", movie), ""),
		bad("no room", "QUOTA_EXCEEDED", dir.add("notes.txt", text(t, 2<<20)), full),
		bad("no room, large", "QUOTA_EXCEEDED", dir.copy("film.mp4", movie), full),
		bad("too large", "FILE_TOO_LARGE", dir.huge("film.mp4"), key),
	} {
		steps = append(steps, s, good())
	}
	steps = append(steps,
		step{"film", attempt{dir.copy("film.mp4", movie), key}, "", "film.mp4"},
		// Not a refusal: the verdict comes later, and the file is never readable.
		step{"malware", attempt{dir.add("notes.txt", []byte(eicar)), key}, "", "notes.txt"},
	)
	for _, name := range []string{
		"Grüße aus Köln.jpg", "年度报告（最终版）.jpg", "Отчёт №5.jpg", "Ferien 🏖️ 👩‍👩‍👧.jpg",
		`das "beste" Bild.jpg`, "it's a; b=c, d&e.jpg", "100% echt + 50%.jpg", " ein Leerzeichen davor.jpg",
	} {
		steps = append(steps, step{name, attempt{dir.add(name, photo(t, 64, 48)), key}, "", name})
	}
	// As macOS spells it: the same letters in other bytes.
	steps = append(steps, step{"decomposed", attempt{dir.add("Gru\u0308\u00dfe.jpg", photo(t, 64, 48)), key}, "", "Grüße.jpg"})
	return steps
}

// TestClientsSeeEarlyRefusalsAlways is about a race: the gateway refuses while the client still sends, and closes a
// connection on which more than a hundred megabytes were to come.
func TestClientsSeeEarlyRefusalsAlways(t *testing.T) {
	const times = 20
	r := rig.Embedded(t, rig.Options{Workers: rig.NoWorkers})
	for _, cl := range clients() {
		t.Run(cl.name, func(t *testing.T) {
			c := r.Tenant(cl.name, "pro")
			dir := files{t: t, dir: t.TempDir()}
			huge := step{"too large", attempt{dir.huge("film.mp4"), c.Key}, "FILE_TOO_LARGE", ""}
			steps := slices.Repeat([]step{huge}, times)
			check(t, steps, cl.session(t, c.URL, attempts(steps)))
			require.Equal(t, usageView{Quota: usage(t, c).Quota}, usage(t, c))
		})
	}
}

func attempts(steps []step) []attempt {
	var out []attempt
	for _, s := range steps {
		out = append(out, s.attempt)
	}
	return out
}

// check holds what a client saw against what it must see, and returns the assets.
func check(t *testing.T, steps []step, answers []answer) []rig.Asset {
	t.Helper()
	require.Len(t, answers, len(steps))
	assets := make([]rig.Asset, len(steps))
	seen := true
	for i, s := range steps {
		if got := see(answers[i], &assets[i]); got != s.code {
			t.Errorf("%d, %s: the client saw %q, not %q: %+v", i, s.what, got, s.code, answers[i])
			seen = false
		}
		if s.code == "" && assets[i].Name != s.name {
			t.Errorf("%d, %s: the name came back as %+q, not %+q", i, s.what, assets[i].Name, s.name)
			seen = false
		}
	}
	if !seen {
		t.FailNow()
	}
	return assets
}

// see is the code in an answer, empty for an accepted upload.
func see(a answer, asset *rig.Asset) string {
	var refusal rig.Refusal
	switch {
	case a.Failure != "":
		return "a failure instead of an answer"
	case a.Status == 202:
		if json.Unmarshal([]byte(a.Body), asset) != nil || asset.ID == "" {
			return "an answer without the asset"
		}
		return ""
	case json.Unmarshal([]byte(a.Body), &refusal) != nil || refusal.Sentence == "" || refusal.RequestID == "":
		return "an answer without the envelope"
	}
	return refusal.Code
}

// files makes files; several may have the same name.
type files struct {
	t   *testing.T
	dir string
}

func (f files) path(name string) string {
	dir, err := os.MkdirTemp(f.dir, "")
	require.NoError(f.t, err)
	return filepath.Join(dir, name)
}

func (f files) add(name string, content []byte) string {
	path := f.path(name)
	require.NoError(f.t, os.WriteFile(path, content, 0o600))
	return path
}

func (f files) copy(name, from string) string {
	content, err := os.ReadFile(from)
	require.NoError(f.t, err)
	return f.add(name, content)
}

// huge is a file of tooLarge bytes that takes no room on the disk.
func (f files) huge(name string) string {
	path := f.add(name, nil)
	require.NoError(f.t, os.Truncate(path, tooLarge))
	return path
}

// film makes an MP4 of about 20 MB: noise, which no codec makes small.
func film(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "film.mp4")
	out, err := exec.CommandContext(t.Context(), "ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi",
		"-i", "color=gray:s=1280x720:r=10,noise=alls=100:allf=t", "-frames:v", "24",
		"-c:v", "mjpeg", "-q:v", "2", path).CombinedOutput()
	require.NoError(t, err, string(out))
	return path
}
