package configs

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func writeFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gatehouse.yaml")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func TestDefaultsLoad(t *testing.T) {
	for _, program := range []Program{ForGateway, ForCommands, ForWorker} {
		c, err := Load(program, "", nil)
		require.NoError(t, err)
		require.True(t, c.Embedded())
		require.Equal(t, ":8080", c.HTTP.Addr)
		require.Equal(t, Bytes(100<<20), c.Categories["video"].MaxBytes)
		require.Equal(t, Bytes(1<<30), c.Plans["free"].StorageBytes)
		require.Equal(t, ImagePreset{Name: "w2000", LongEdge: 2000}, c.Images.Presets[0])
		require.Len(t, c.Images.Presets, 4)
		require.True(t, filepath.IsAbs(c.DataDir))
		require.Empty(t, c.origins)
	}
}

func TestLayers(t *testing.T) {
	file := writeFile(t, "http: {addr: ':1', max_uploads: 7}\nplans: {team: {storage_bytes: 5MB, duplicates: reject, categories: [image]}, pro: null}\n")
	c, err := Load(ForGateway, "", []string{"GATEHOUSE_CONFIG=" + file, "GATEHOUSE_HTTP_ADDR=:2", "PATH=/bin"})
	require.NoError(t, err)
	require.Equal(t, ":2", c.HTTP.Addr, "the environment wins over the file")
	require.Equal(t, 7, c.HTTP.MaxUploads, "the file wins over the default")
	require.Equal(t, Bytes(5_000_000), c.Plans["team"].StorageBytes)
	require.Contains(t, c.Plans, "free", "plans of the file are added to the default ones")
	require.NotContains(t, c.Plans, "pro", "null removes a default plan")

	other := writeFile(t, "http: {max_uploads: 8}")
	c, err = Load(ForGateway, other, []string{"GATEHOUSE_CONFIG=" + file})
	require.NoError(t, err)
	require.Equal(t, 8, c.HTTP.MaxUploads, "--config wins over GATEHOUSE_CONFIG")
}

func TestPrintReadsBack(t *testing.T) {
	file := writeFile(t, "data_dir: /srv/gh\nplans: {team: {storage_bytes: 5MB, categories: [video], duplicates: link, max_bytes: {video: 1 MiB}}, pro: null}\nbroker: {prefix: '007'}\n")
	c, err := Load(ForGateway, file, []string{"GATEHOUSE_HTTP_TRUSTED_PROXIES=10.0.0.0/8, 192.0.2.1"})
	require.NoError(t, err)
	var first, second bytes.Buffer
	require.NoError(t, c.Print(&first))
	again, err := Load(ForGateway, writeFile(t, first.String()), nil)
	require.NoError(t, err, first.String())
	again.origins = c.origins
	require.NoError(t, again.Print(&second))
	require.Equal(t, first.String(), second.String())
	require.Contains(t, first.String(), "# GATEHOUSE_HTTP_TRUSTED_PROXIES")
	require.Contains(t, first.String(), file+" line 2")
}
