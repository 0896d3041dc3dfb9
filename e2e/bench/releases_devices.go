package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/e2e/rig"
	"gatehouse/gateway/auth"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

const (
	benchDevices = 100_000
	// beatsAtOnce is how many devices report at the same time.
	beatsAtOnce = 32
)

// benchHeartbeats lets devices that are known report, each once, in PostgreSQL.
func benchHeartbeats(c *console) []row {
	r := rig.Distributed(c, rig.Options{Workers: rig.NoWorkers, Env: map[string]string{"GATEHOUSE_LOG_LEVEL": "info"}})
	db := openRig(c, r)
	n := max(int(benchDevices*c.share), 1000)
	tokens := fillDevices(c, db, n)
	url := r.URLs[0] + "/api/release/v1/heartbeats/"
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: beatsAtOnce}}
	took := make([]time.Duration, n)
	var next atomic.Int64
	var wg sync.WaitGroup
	began := time.Now()
	for range beatsAtOnce {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && !c.failed; i = int(next.Add(1)) - 1 {
				from := time.Now()
				if err := beat(client, url, tokens[i], deviceName(i)); err != nil {
					c.Errorf("heartbeat: %v", err)
					return
				}
				took[i] = time.Since(from)
			}
		})
	}
	wg.Wait()
	all := time.Since(began)
	if c.failed {
		c.Fatal("a heartbeat failed")
	}
	slices.Sort(took)
	ms := func(q float64) float64 { return float64(took[int(q*float64(n-1))].Microseconds()) / 1000 }
	return []row{{
		what:      fmt.Sprintf("heartbeats of %d devices, %d at once, PostgreSQL", n, beatsAtOnce),
		measured:  fmt.Sprintf("%.0f/s (p50 %.1f ms, p95 %.1f ms, p99 %.1f ms)", float64(n)/all.Seconds(), ms(.5), ms(.95), ms(.99)),
		reference: "-",
	}}
}

func deviceName(i int) string { return fmt.Sprintf("0190c0de-0000-7000-9000-%012d", i) }

func beat(client *http.Client, url, token, device string) error {
	body, err := json.Marshal(map[string]string{
		"device_id": device, "client_version": "1.4.0", "platform": "win32", "arch": "x64", "os_version": "10.0.22631",
	})
	if err != nil {
		return err
	}
	req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	said, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusAccepted {
		err = fmt.Errorf("%d %s", resp.StatusCode, said)
	}
	return err
}

// fillDevices makes devices of fifty tenants known, each with a token, and returns the tokens.
func fillDevices(c *console, db *meta.DB, n int) []string {
	ctx := context.Background()
	tenants := make([]string, 50)
	for i := range tenants {
		tenants[i] = metatest.Tenant(c, db, 1<<40)
	}
	tokens := make([]string, n)
	for first := 0; first < n; first += 500 {
		c.must(db.InTx(ctx, func(tx *meta.Tx) error {
			now := meta.Now()
			var devices []meta.ReleaseDevice
			var rows []meta.DeviceToken
			for i := first; i < min(n, first+500); i++ {
				token, hash := auth.NewDeviceToken()
				tokens[i] = token
				tenant, device, user := tenants[i%len(tenants)], deviceName(i), fmt.Sprint("user", i)
				rows = append(rows, meta.DeviceToken{ID: meta.NewID(), TenantID: tenant, UserID: user, DeviceID: device, Hash: hash, CreatedAt: now, ExpiresAt: now.Add(time.Hour)})
				devices = append(devices, meta.ReleaseDevice{
					TenantID: tenant, DeviceID: device, UserID: user, Version: "1.3.0", Channel: "stable", Platform: "win32", Arch: "x64",
					OSVersion: "10.0.22631", Launches: 1, FirstSeenAt: now, LastSeenAt: now,
				})
			}
			if err := tx.Create(&rows); err != nil {
				return err
			}
			return tx.Create(&devices)
		}))
	}
	_, err := db.Exec(ctx, "VACUUM ANALYZE")
	c.must(err)
	return tokens
}
