package storage_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
)

func TestSourcesAreTheRowsOfTheTable(t *testing.T) {
	for to, want := range map[storage.AssetState][]storage.AssetState{
		storage.AssetQuarantined: nil,
		storage.AssetAvailable:   {storage.AssetQuarantined, storage.AssetRejected},
		storage.AssetRejected:    {storage.AssetAvailable, storage.AssetQuarantined},
		storage.AssetDeleted:     {storage.AssetAvailable, storage.AssetQuarantined, storage.AssetRejected},
	} {
		require.Equal(t, want, storage.SourcesOf(to), to)
		for _, from := range want {
			require.True(t, storage.CanMove(from, to))
		}
		require.False(t, storage.CanMove(storage.AssetDeleted, to), "nothing leaves it")
	}
	require.Equal(t, []storage.MediaStatus{storage.MediaFailed, storage.MediaPending}, storage.SourcesOfMedia(storage.MediaRunning))
	require.Equal(t, []storage.MediaStatus{storage.MediaPending, storage.MediaRunning}, storage.SourcesOfMedia(storage.MediaFailed))
	require.True(t, storage.CanMoveMedia(storage.MediaFailed, storage.MediaRunning), "an operator retries")
	require.False(t, storage.CanMoveMedia(storage.MediaNone, storage.MediaDone))
}
