package jobs_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage/meta"
	"gatehouse/worker/jobs"
)

// Each host's scanner has a word of its own, and one that is away says since when.
func TestScannersAreToldByHost(t *testing.T) {
	onSQLite(t, func(t *testing.T, b *bench) {
		host, err := os.Hostname()
		require.NoError(t, err)
		require.NoError(t, b.db.SetScanner(t.Context(), meta.ScannerFact{Host: "other", Ready: true, CheckedAt: meta.Now()}))
		b.unplugScanner(t)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			jobs.NewScannerWatch(b.db, b.deps.Scanner, 20*time.Millisecond, b.claimLog(t)).Run(ctx)
		}()
		own := func() meta.ScannerFact {
			all, err := b.db.Scanners(context.Background(), 0)
			require.NoError(t, err)
			return all[host]
		}
		require.Eventually(t, func() bool { return own().UnreadySince != 0 }, time.Minute, 10*time.Millisecond)
		all, err := b.db.Scanners(t.Context(), 0)
		require.NoError(t, err)
		require.True(t, all["other"].Ready)
		first := own()
		require.Eventually(t, func() bool { return own().CheckedAt > first.CheckedAt }, time.Minute, 10*time.Millisecond)
		require.Equal(t, first.UnreadySince, own().UnreadySince)
		b.plugScanner(t)
		require.Eventually(t, func() bool { return own().Ready && own().UnreadySince == 0 }, time.Minute, 10*time.Millisecond)
		cancel()
		<-ended

		require.NoError(t, b.db.ForgetScanners(context.Background(), meta.Now().Add(time.Hour)))
		require.Zero(t, own())
	})
}
