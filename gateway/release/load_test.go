package release_test

import (
	"bytes"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
	releases "gatehouse/storage/release"
)

// Clients ask and download while what is published changes: each answer is one that was right.
func TestManyClientsWhileReleasesChange(t *testing.T) {
	r := newRig(t, metatest.SQLite(t))
	content := random(3*releases.PieceBytes+7, 5)
	old := r.publish(win, "1.0.0", superseded, upload{releases.Installer, "App Setup 1.0.0.exe", content})
	now := r.publish(win, "1.1.0", func(row *meta.ClientRelease) { row.FallbackID = old.ID })
	var clients sync.WaitGroup
	stop := make(chan struct{})
	for i := range 8 {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				switch i % 3 {
				case 0:
					got := r.get("feed/stable/win32/x64/latest.yml", "x-user-staging-id", late)
					if body := string(got.body); got.status != http.StatusOK || (body != now.Manifest && body != old.Manifest) {
						t.Errorf("manifest: %d %s", got.status, body)
						return
					}
				case 1:
					if got := r.get("updates/latest/?platform=win32&arch=x64&current_version=0.1.0"); got.status != http.StatusOK || !bytes.Contains(got.body, []byte(`"has_update":true`)) {
						t.Errorf("latest: %d %s", got.status, got.body)
						return
					}
				case 2:
					if got := r.get(setup); got.status != http.StatusOK || !bytes.Equal(content, got.body) {
						t.Errorf("file: %d, %d bytes", got.status, len(got.body))
						return
					}
				}
			}
		})
	}
	for i := range 40 {
		r.set(`UPDATE client_releases SET state = ?, percentage = ? WHERE id = ?`, []releases.State{releases.Published, releases.Paused}[i%2], i%101, now.ID)
		require.Contains(t, []string{now.Manifest, old.Manifest}, r.manifest(early))
	}
	close(stop)
	clients.Wait()
}
