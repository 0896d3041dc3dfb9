package blob_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage/blob"
	"gatehouse/storage/blob/blobtest"
)

func openDisk(t *testing.T, root string) *blob.Zones {
	t.Helper()
	zones, err := blob.Open(t.Context(), blob.Config{Driver: blob.DriverDisk, Root: root})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, zones.Close()) })
	return zones
}

func TestDisk(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) *blob.Zones { return openDisk(t, t.TempDir()) })
}
