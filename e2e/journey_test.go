package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"image"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	_ "golang.org/x/image/webp"

	"gatehouse/e2e/rig"
)

// patience is for what takes a second on an idle machine.
const patience = 90 * time.Second

func TestPhotoIsUploadedScannedAndReadBackInItsSizes(t *testing.T) {
	eachMode(t, rig.Options{}, func(t *testing.T, r *rig.Rig) {
		c := r.Tenant("acme", "pro")
		picture := photo(t, 1600, 1200)
		sum := sha256.Sum256(picture)

		a, err := c.Upload("Ferien am See.jpg", picture)
		require.NoError(t, err)
		require.Equal(t, "quarantined", a.State)
		require.Equal(t, hex.EncodeToString(sum[:]), a.SHA256)
		require.Equal(t, "image/jpeg", a.MediaType)

		events, err := c.Events(a.ID)
		require.NoError(t, err)
		require.Contains(t, events, "accepted")
		require.Contains(t, events, "scanned")
		require.Contains(t, events, "variant_ready")
		require.Equal(t, "end", events[len(events)-1])

		a = c.Await(a.ID, patience, rig.Ready)
		require.Equal(t, "available", a.State)
		require.Equal(t, "clean", a.Scan.Status)
		require.NotEmpty(t, a.Scan.Engine)
		require.NotEmpty(t, a.Scan.Database)
		require.Equal(t, "done", a.Media.Status, a.Media.Error)

		got, err := c.Bytes("/api/v1/assets/" + a.ID + "/content")
		require.NoError(t, err)
		require.True(t, bytes.Equal(picture, got), "the original comes back byte for byte")

		require.Len(t, a.Media.Variants, 4)
		for _, v := range a.Media.Variants {
			raw, err := c.Bytes("/api/v1/assets/" + a.ID + "/variants/" + v.Preset)
			require.NoError(t, err)
			require.EqualValues(t, v.Size, len(raw))
			cfg, kind, err := image.DecodeConfig(bytes.NewReader(raw))
			require.NoError(t, err)
			require.Equal(t, "webp", kind)
			require.Equal(t, []int{v.Width, v.Height}, []int{cfg.Width, cfg.Height})
			require.LessOrEqual(t, v.Width, 1600, "never enlarged")
		}

		var link struct {
			URL string `json:"url"`
		}
		require.NoError(t, c.Post("/api/v1/assets/"+a.ID+"/links", map[string]any{"variant": a.Media.Variants[0].Preset, "expires_in": 60}, &link))
		public := &rig.Client{T: t, URL: c.URL}
		raw, err := public.Bytes(link.URL)
		require.NoError(t, err)
		require.EqualValues(t, a.Media.Variants[0].Size, len(raw))
		_, err = public.Bytes(link.URL + "x")
		require.Equal(t, "NOT_FOUND", rig.CodeOf(err))

		require.NoError(t, c.Delete(a.ID))
		_, err = public.Bytes(link.URL)
		require.Equal(t, "NOT_FOUND", rig.CodeOf(err), "a link does not outlive its asset")
	})
}

func TestDuplicateSharesTheBlobAndCostsNothing(t *testing.T) {
	eachMode(t, rig.Options{}, func(t *testing.T, r *rig.Rig) {
		c := r.Tenant("acme", "pro")
		note := text(t, 4096)
		first, err := c.Upload("a.txt", note)
		require.NoError(t, err)
		c.Await(first.ID, patience, rig.Ready)
		before := usage(t, c)

		second, err := c.Upload("b.txt", note)
		require.NoError(t, err)
		require.True(t, second.Duplicate)
		require.NotEqual(t, first.ID, second.ID)
		require.Equal(t, "available", second.State, "the verdict is inherited")
		require.Equal(t, before.Used, usage(t, c).Used)
		require.Zero(t, usage(t, c).Reserved)

		require.NoError(t, c.Delete(first.ID))
		got, err := c.Bytes("/api/v1/assets/" + second.ID + "/content")
		require.NoError(t, err)
		require.Equal(t, note, got, "the other asset keeps the blob")

		other := r.Tenant("other", "pro")
		third, err := other.Upload("c.txt", note)
		require.NoError(t, err)
		require.False(t, third.Duplicate, "dedupe never crosses tenants")
	})
}

func TestIdempotencyKeyAndDigestsAreHonoured(t *testing.T) {
	r := rig.Embedded(t, rig.Options{})
	c := r.Tenant("acme", "pro")
	note := text(t, 2048)
	sum := sha256.Sum256(note)
	digest := "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"

	first, err := c.Upload("a.txt", note, "Idempotency-Key", "order-17", "Repr-Digest", digest, "Content-Digest", digest)
	require.NoError(t, err)
	again, err := c.Upload("a.txt", note, "Idempotency-Key", "order-17")
	require.NoError(t, err)
	require.Equal(t, first.ID, again.ID)
	require.EqualValues(t, len(note), usage(t, c).Used)

	_, err = c.Upload("a.txt", text(t, 2048), "Idempotency-Key", "order-17")
	require.Equal(t, "CONFLICT", rig.CodeOf(err))
	_, err = c.Upload("b.txt", text(t, 2048), "Repr-Digest", digest)
	require.Equal(t, "DIGEST_MISMATCH", rig.CodeOf(err))
	require.EqualValues(t, len(note), usage(t, c).Used, "a refusal leaves nothing")
	require.Zero(t, usage(t, c).Reserved)
}

func TestTenantsNeverMeetOverHTTP(t *testing.T) {
	r := rig.Embedded(t, rig.Options{})
	one, two := r.Tenant("one", "pro"), r.Tenant("two", "pro")
	a, err := one.Upload("secret.txt", text(t, 1000))
	require.NoError(t, err)
	one.Await(a.ID, patience, rig.Ready)

	absent := "00000000-0000-7000-8000-000000000000"
	for _, path := range []string{"", "/content", "/variants/w640", "/events"} {
		_, foreign := two.Bytes("/api/v1/assets/" + a.ID + path)
		_, missing := two.Bytes("/api/v1/assets/" + absent + path)
		require.Equal(t, "NOT_FOUND", rig.CodeOf(foreign), path)
		require.Equal(t, withoutID(missing), withoutID(foreign), "another tenant's id answers exactly like one that does not exist")
	}
	require.Equal(t, "NOT_FOUND", rig.CodeOf(two.Delete(a.ID)))
	require.Equal(t, "NOT_FOUND", rig.CodeOf(two.Post("/api/v1/assets/"+a.ID+"/links", map[string]any{}, nil)))
	var page struct {
		Items []rig.Asset `json:"items"`
	}
	require.NoError(t, two.Get("/api/v1/assets?q=secret", &page))
	require.Empty(t, page.Items)
	_, err = one.Asset(a.ID)
	require.NoError(t, err)
}

func withoutID(err error) string {
	refusal, ok := err.(*rig.Refusal) //nolint:errorlint // the client returns it bare
	if !ok {
		return err.Error()
	}
	return refusal.Code + refusal.Sentence
}

func TestRefusalsSayWhyAndLeaveNothing(t *testing.T) {
	eachMode(t, rig.Options{Env: map[string]string{"GATEHOUSE_PLANS_FREE_STORAGE_BYTES": "1048576"}}, func(t *testing.T, r *rig.Rig) {
		c := r.Tenant("acme", "free")
		for _, x := range []struct {
			name, code string
			content    []byte
		}{
			{"empty.txt", "FILE_EMPTY", nil},
			{"../../etc/passwd.txt", "FILENAME_INVALID", []byte("x")},
			{"invoice.exe.pdf", "FILENAME_INVALID", []byte("%PDF-1.7\n")},
			{"virus.exe", "EXTENSION_NOT_ALLOWED", []byte("MZ")},
			{"picture.png", "TYPE_MISMATCH", photo(t, 8, 8)},
			{"photo.jpg", "CONTENT_UNSAFE", photo(t, 64, 64)[:400]},
			{"big.jpg", "FILE_TOO_LARGE", make([]byte, 6<<20)},
			{"much.txt", "QUOTA_EXCEEDED", text(t, 2<<20)},
		} {
			_, err := c.Upload(x.name, x.content)
			require.Equal(t, x.code, rig.CodeOf(err), "%s: %v", x.name, err)
			refusal := err.(*rig.Refusal) //nolint:errorlint,forcetypeassert // CodeOf has looked
			require.NotEmpty(t, refusal.Sentence)
			require.NotEmpty(t, refusal.RequestID)
		}
		chinese, err := http.NewRequest(http.MethodGet, c.URL+"/api/v1/assets/nope", nil)
		require.NoError(t, err)
		chinese.Header.Set("Authorization", "Bearer "+c.Key)
		chinese.Header.Set("Accept-Language", "zh-CN")
		resp, err := http.DefaultClient.Do(chinese)
		require.NoError(t, err)
		require.Equal(t, http.StatusNotFound, resp.StatusCode)
		require.NoError(t, resp.Body.Close())

		u := usage(t, c)
		require.Zero(t, u.Used)
		require.Zero(t, u.Reserved)
		var page struct {
			Items []rig.Asset `json:"items"`
		}
		require.NoError(t, c.Get("/api/v1/assets", &page))
		require.Empty(t, page.Items)
	})
}

// usageView is what tests read of GET /usage.
type usageView struct {
	Quota    int64 `json:"quota"`
	Used     int64 `json:"used"`
	Reserved int64 `json:"reserved"`
}

func usage(t *testing.T, c *rig.Client) usageView {
	t.Helper()
	var u usageView
	require.NoError(t, c.Get("/api/v1/usage", &u))
	return u
}

func TestUnauthenticatedCallersLearnNothing(t *testing.T) {
	r := rig.Embedded(t, rig.Options{})
	for _, key := range []string{"", "nonsense", "ghk_" + strings.Repeat("A", 43)} {
		c := &rig.Client{T: t, URL: r.URLs[0], Key: key}
		for _, path := range []string{"/api/v1/assets", "/api/v1/usage", "/api/v1/policy"} {
			require.Equal(t, "UNAUTHENTICATED", rig.CodeOf(c.Get(path, nil)), key+path)
		}
		_, err := c.Upload("a.txt", []byte("hello"))
		require.Equal(t, "UNAUTHENTICATED", rig.CodeOf(err))
	}
}
