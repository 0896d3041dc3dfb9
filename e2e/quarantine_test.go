package e2e

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/e2e/rig"
)

// TestEICARIsNeverReadable reads every endpoint that could give bytes away, all the time from the upload until
// after the verdict.
func TestEICARIsNeverReadable(t *testing.T) {
	eachMode(t, rig.Options{}, func(t *testing.T, r *rig.Rig) {
		c := r.Tenant("acme", "pro")
		for name, content := range map[string][]byte{
			"eicar.txt":  []byte(eicar),
			"report.txt": []byte(eicar + "\n\n" + "a report"),
			"offer.docx": docx(t, "hello", map[string][]byte{"word/note.txt": []byte(eicar)}),
		} {
			a, err := c.Upload(name, content)
			require.NoError(t, err, name)
			id := a.ID

			var leaks atomic.Int64
			stop := make(chan struct{})
			var wg sync.WaitGroup
			for _, path := range []string{"/content", "/variants/w640", "/variants/original"} {
				wg.Go(func() {
					for {
						if raw, err := c.Bytes("/api/v1/assets/" + id + path); err == nil {
							leaks.Add(int64(len(raw)) + 1)
						}
						if c.Post("/api/v1/assets/"+id+"/links", map[string]any{}, nil) == nil {
							leaks.Add(1)
						}
						select {
						case <-stop:
							return
						default:
						}
					}
				})
			}
			a = c.Await(a.ID, patience, rig.Scanned)
			_, err = c.Bytes("/api/v1/assets/" + a.ID + "/content")
			close(stop)
			wg.Wait()
			require.Zero(t, leaks.Load(), name)
			require.Equal(t, "ASSET_REJECTED", rig.CodeOf(err), name)
			require.Equal(t, "rejected", a.State, name)
			require.Equal(t, "infected", a.Scan.Status, name)
			require.Contains(t, a.Scan.Signature, "Eicar", name)
		}
	})
}

// TestParallelUploadsFillAQuotaExactly sends 64 files at once, through two gateways, into room for exactly 10.
func TestParallelUploadsFillAQuotaExactly(t *testing.T) {
	const size, room = 10_000, 10
	r := rig.Distributed(t, rig.Options{Gateways: 2, Env: map[string]string{
		"GATEHOUSE_PLANS_FREE_STORAGE_BYTES": "100000", "GATEHOUSE_PLANS_FREE_CONCURRENT_UPLOADS": "0", "GATEHOUSE_PLANS_FREE_UPLOADS_PER_MINUTE": "0",
	}})
	c := r.Tenant("acme", "free")
	var accepted, refused atomic.Int64
	var wg sync.WaitGroup
	for i := range 64 {
		content := text(t, size)
		wg.Go(func() {
			mine := *c
			mine.URL = r.URLs[i%2]
			_, err := mine.Upload("a.txt", content)
			switch {
			case err == nil:
				accepted.Add(1)
			case rig.CodeOf(err) == "QUOTA_EXCEEDED":
				refused.Add(1)
			default:
				t.Errorf("upload: %v", err)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, room, accepted.Load())
	require.EqualValues(t, 64-room, refused.Load())
	require.Equal(t, usageView{Quota: 100000, Used: 100000}, usage(t, c))
}
