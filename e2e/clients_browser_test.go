package e2e

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// browserPatience is for everything that one test does in its browser.
const browserPatience = 5 * time.Minute

// browser starts a Chromium of its own, with an empty profile, that speaks to nobody but the test's servers.
func browser(t *testing.T) context.Context {
	t.Helper()
	// Not the test's context: that one ends before the browser can be closed in an orderly way.
	ctx, stop := context.WithTimeout(context.Background(), browserPatience)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewExecAllocator(ctx,
		chromedp.ExecPath("chromium"),
		chromedp.Env("HOME="+t.TempDir()),
		chromedp.NoFirstRun, chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("headless", "new"),
		chromedp.Flag("no-proxy-server", true),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("disable-sync", true),
	)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewContext(ctx, chromedp.WithErrorf(t.Logf))
	t.Cleanup(stop)
	require.NoError(t, chromedp.Do(ctx))
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil {
			t.Errorf("close the browser: %v", err)
		}
	})
	return ctx
}

// chromium chooses each file in a page's dialog and lets the page send it. The page has the gateway's origin, as if
// the gateway served it; everything but the page itself goes over the wire.
func chromium(t *testing.T, base string, attempts []attempt) []answer {
	ctx := browser(t)
	page, err := os.ReadFile("testdata/clients/page.html")
	require.NoError(t, err)
	asked := chromedp.Events(ctx, fetch.RequestPaused)
	_, err = chromedp.Call(ctx, fetch.Enable, fetch.EnableParams{
		Patterns: []*fetch.RequestPattern{{URLPattern: base + "/upload.html"}},
	})
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() {
		for request, err := range asked {
			if err == nil {
				_, err = chromedp.Call(ctx, fetch.FulfillRequest, fetch.FulfillRequestParams{
					RequestID: request.RequestID, ResponseCode: 200, Body: page,
					ResponseHeaders: []*fetch.HeaderEntry{{Name: "Content-Type", Value: "text/html"}},
				})
			}
			served <- err
			return
		}
	}()
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(base+"/upload.html")))
	require.NoError(t, <-served)

	answers := make([]answer, len(attempts))
	for i, a := range attempts {
		file, err := filepath.Abs(a.File)
		require.NoError(t, err)
		require.NoError(t, chromedp.Do(ctx, chromedp.SetUploadFiles(chromedp.CSS("#file"), []string{file})))
		answers[i], err = chromedp.Run(ctx, chromedp.Evaluate[answer](`upload("`+a.Key+`")`, chromedp.EvalAwaitPromise))
		require.NoError(t, err)
	}
	return answers
}
