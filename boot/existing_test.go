package boot

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/configs"
	"gatehouse/storage/blob"
)

// TestExisting: what is not there is said and not made; what the programs made is opened.
func TestExisting(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	cfg, err := configs.Load(configs.ForCommands, "", []string{"GATEHOUSE_DATA_DIR=" + dir})
	require.NoError(t, err)
	_, err = ExistingDatabase(t.Context(), cfg)
	require.ErrorIs(t, err, ErrNotThere)
	require.ErrorContains(t, err, filepath.Join(dir, "gatehouse.db"))
	_, err = ExistingZones(t.Context(), cfg)
	require.ErrorIs(t, err, blob.ErrNoStore)
	_, err = os.Stat(dir)
	require.ErrorIs(t, err, os.ErrNotExist, "nothing was made")

	db, err := Database(t.Context(), cfg)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	zones, err := Zones(t.Context(), cfg)
	require.NoError(t, err)
	require.NoError(t, zones.Close())
	db, err = ExistingDatabase(t.Context(), cfg)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	zones, err = ExistingZones(t.Context(), cfg)
	require.NoError(t, err)
	require.NoError(t, zones.Close())
}
