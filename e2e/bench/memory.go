package main

import (
	"crypto/rand"
	"fmt"
	"io"
	"sync"

	"gatehouse/e2e/rig"
)

// benchMemory sends 20 files of 100 MiB at once and looks at the gateway's resident memory.
func benchMemory(c *console) []row {
	const files, size, aim = 20, 100 << 20, 128 << 20
	r := rig.Distributed(c, rig.Options{Workers: rig.NoWorkers, Env: map[string]string{
		"GATEHOUSE_LOG_LEVEL": "warn", "GATEHOUSE_PLANS_PRO_STORAGE_BYTES": "1TiB",
		"GATEHOUSE_CATEGORIES_VIDEO_MAX_BYTES": "128MiB",
	}})
	tenant := r.Tenant("bench", "pro")
	var wg sync.WaitGroup
	for range files {
		wg.Go(func() {
			f := mp4Head(size)
			body := io.MultiReader(f, io.LimitReader(rand.Reader, size-int64(f.Len())))
			if _, err := tenant.UploadFrom("clip.mp4", size, body); err != nil {
				c.Errorf("upload: %v", err)
			}
		})
	}
	wg.Wait()
	now, peak := r.Gateways[0].Memory()
	if c.failed {
		c.Fatal("an upload failed")
	}
	return []row{{
		what:     fmt.Sprintf("gateway's resident memory, %d uploads of 100 MiB at once", files),
		measured: fmt.Sprintf("peak %d MiB (after: %d MiB)", peak>>20, now>>20), reference: "128 MiB",
		ratio: float64(peak) / aim, aim: "<= 1.00",
	}}
}
