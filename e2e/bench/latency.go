package main

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"gatehouse/e2e/rig"
)

// benchLatency measures how long it takes from the first byte of an upload until the asset is available, as a
// client that polls sees it.
func benchLatency(c *console) []row {
	r := rig.Distributed(c, rig.Options{Env: map[string]string{
		"GATEHOUSE_LOG_LEVEL": "warn", "GATEHOUSE_PLANS_PRO_STORAGE_BYTES": "1TiB",
	}})
	tenant := r.Tenant("bench", "pro")
	file := jpegOf(256 << 10)
	sample := func(connections, files int) []time.Duration {
		var mu sync.Mutex
		var all []time.Duration
		var wg sync.WaitGroup
		for range connections {
			wg.Go(func() {
				buffer := make([]byte, len(file.bytes))
				for range files / connections {
					began := time.Now()
					a, err := tenant.Upload(file.name, file.next(buffer))
					if err != nil {
						c.Errorf("upload: %v", err)
						return
					}
					for a.State == "quarantined" && time.Since(began) < time.Minute {
						time.Sleep(5 * time.Millisecond)
						if a, err = tenant.Asset(a.ID); err != nil {
							c.Errorf("read: %v", err)
							return
						}
					}
					mu.Lock()
					all = append(all, time.Since(began))
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if c.failed {
			c.Fatal("latency failed")
		}
		slices.Sort(all)
		return all
	}
	line := func(what string, d []time.Duration) row {
		return row{what: what, measured: fmt.Sprintf("p50 %s, p95 %s", quantile(d, .5), quantile(d, .95)), reference: "-"}
	}
	idle := sample(1, 60)
	busy := sample(16, 320)
	return []row{
		line("upload to available, 256 KiB, idle", idle),
		line("upload to available, 256 KiB, 16 connections", busy),
	}
}

func quantile(sorted []time.Duration, q float64) time.Duration {
	return sorted[int(q*float64(len(sorted)-1))].Round(time.Millisecond)
}
