package e2e

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"gatehouse/e2e/rig"
)

// shown waits until the page tells its user what became of the file, and takes the text away again.
const shown = `new Promise((tell) => {
  const result = document.getElementById('result');
  const look = () => {
    const text = result.textContent;
    if (!text) return setTimeout(look, 20);
    result.textContent = '';
    tell(text);
  };
  look();
})`

// TestClientsUsePageOfTheDocumentation sets up what docs/upload.md tells under "From a browser", word for word but for
// the addresses and the key, and chooses files as a user does.
func TestClientsUsePageOfTheDocumentation(t *testing.T) {
	r := rig.Embedded(t, rig.Options{Workers: rig.NoWorkers})
	c := r.Tenant("acme", "pro")
	asked := make(chan string, 100)
	application := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) { asked <- req.URL.Path }))
	t.Cleanup(application.Close)

	page := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(page, "index.html"), []byte(documented(t, "html")), 0o600))
	site := strings.NewReplacer(
		"http://gatehouse:8080", r.URLs[0],
		"http://your-application", application.URL,
		"ghk_...", c.Key,
	).Replace(documented(t, "nginx"))
	base := nginx(t, "server { listen LISTEN; default_type text/html; root "+page+";\n"+site+"}\n")

	ctx := browser(t)
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(base+"/")))
	choose := func(file string) string {
		require.NoError(t, chromedp.Do(ctx, chromedp.SetUploadFiles(chromedp.CSS("#file"), []string{file})))
		text, err := chromedp.Run(ctx, chromedp.Evaluate[string](shown, chromedp.EvalAwaitPromise))
		require.NoError(t, err)
		require.Equal(t, "/may-upload", <-asked)
		return text
	}
	dir := files{t: t, dir: t.TempDir()}
	require.Equal(t, "Grüße.jpg: quarantined", choose(dir.add("Grüße.jpg", photo(t, 64, 48))))
	require.Equal(t, refusalOf(t, c, "setup.exe", 2), choose(dir.add("setup.exe", []byte("MZ"))))
	require.Contains(t, choose(dir.huge("film.mp4")), "at most 100 MiB are allowed")
	require.Equal(t, "again.jpg: quarantined", choose(dir.add("again.jpg", photo(t, 64, 48))))
}

// refusalOf is the sentence that the gateway has for such a file.
func refusalOf(t *testing.T, c *rig.Client, name string, size int64) string {
	t.Helper()
	err := c.Post("/api/v1/assets/check", map[string]any{"name": name, "size": size}, nil)
	refusal, ok := err.(*rig.Refusal) //nolint:errorlint // the client returns it bare
	require.True(t, ok, "%v", err)
	return refusal.Sentence
}

// documented is the code of one language in the part of docs/upload.md that is about browsers.
func documented(t *testing.T, language string) string {
	t.Helper()
	raw, err := os.ReadFile("../docs/upload.md")
	require.NoError(t, err)
	_, part, ok := strings.Cut(string(raw), "\n## From a browser\n")
	require.True(t, ok)
	part, _, _ = strings.Cut(part, "\n## ")
	_, code, ok := strings.Cut(part, "```"+language+"\n")
	require.True(t, ok, language)
	code, _, ok = strings.Cut(code, "```")
	require.True(t, ok, language)
	return code
}
