package assets

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/stretchr/testify/require"

	"gatehouse/gateway/auth"
	"gatehouse/gateway/stream"
	"gatehouse/storage"
)

// No byte of a release's file leaves here: nothing would notice that they are others than those that were published.
func TestFilesOfReleasesAreNotReadHere(t *testing.T) {
	s := newServed(t)
	var refusal error
	app := fiber.New(fiber.Config{ErrorHandler: func(c *fiber.Ctx, err error) error {
		refusal = err
		return c.SendStatus(fiber.StatusTeapot)
	}})
	app.Use(func(c *fiber.Ctx) error {
		auth.Put(c, &auth.Principal{TenantID: s.tenant})
		if err := stream.Attach(c.Context(), stream.Pace{}); err != nil {
			return err
		}
		return c.Next()
	})
	app.Get("/assets/:id/content", s.Content)
	app.Get("/assets/:id/variants/:preset", s.Variant)
	app.Post("/assets/:id/links", s.Link)
	app.Get("/d/:token", s.Download)
	ask := func(method, path, body string) (status int, sent string) {
		refusal = nil
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		answer, err := app.Test(r, -1)
		require.NoError(t, err)
		all, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		return answer.StatusCode, string(all)
	}
	token, err := s.Links.Sign(auth.Link{TenantID: s.tenant, AssetID: s.asset, Expires: time.Now().Add(time.Hour).Unix()})
	require.NoError(t, err)
	variant, err := s.Links.Sign(auth.Link{TenantID: s.tenant, AssetID: s.asset, Variant: "w640", Expires: time.Now().Add(time.Hour).Unix()})
	require.NoError(t, err)
	asset := "/assets/" + s.asset
	status, sent := ask(http.MethodGet, asset+"/content", "")
	require.Equal(t, 200, status, "%v", refusal)
	require.Equal(t, "the file", sent)
	status, _ = ask(http.MethodPost, asset+"/links", "{}")
	require.Equal(t, 201, status, "%v", refusal)

	for _, sql := range []string{`UPDATE assets SET category = 'release', name = 'setup.exe', ext = 'exe'`, `UPDATE blobs SET category = 'release'`} {
		_, err := s.DB.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	for _, x := range []struct{ method, path, body string }{
		{http.MethodGet, asset + "/content", ""}, {http.MethodHead, asset + "/content", ""}, {http.MethodGet, asset + "/variants/w640", ""},
		{http.MethodPost, asset + "/links", "{}"}, {http.MethodPost, asset + "/links", `{"variant": "w640"}`},
		{http.MethodGet, "/d/" + token, ""}, {http.MethodHead, "/d/" + token, ""}, {http.MethodGet, "/d/" + variant, ""},
	} {
		status, sent := ask(x.method, x.path, x.body)
		require.Equal(t, fiber.StatusTeapot, status, x.path)
		require.NotContains(t, sent, "file", x.path)
		var e *storage.Error
		require.ErrorAs(t, refusal, &e, x.path)
		require.Equal(t, storage.CodeReleasePermissionDenied, e.Code, x.path)
		require.Equal(t, "read_from_feed", e.Reason.Slug)
	}
}
