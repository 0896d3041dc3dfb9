package configs

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOperatorKeyIsMadeOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	c, err := Load(ForGateway, "", []string{"GATEHOUSE_DATA_DIR=" + dir})
	require.NoError(t, err)
	got := make([][]byte, 16)
	errs := make([]error, len(got))
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() { got[i], errs[i] = c.OperatorKey() })
	}
	wg.Wait()
	for i := range got {
		require.NoError(t, errs[i])
		require.Equal(t, got[0], got[i], "all gateways agree on one key")
	}
	require.Len(t, got[0], 32)
	info, err := os.Stat(filepath.Join(dir, "operator.key"))
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode().Perm())

	require.NoError(t, os.WriteFile(filepath.Join(dir, "operator.key"), []byte("cut of"), 0o600))
	_, err = c.OperatorKey()
	require.ErrorContains(t, err, "bring it back from a backup")
}

func TestOperatorKeyIsGivenAsHexOrBase64(t *testing.T) {
	want := bytes.Repeat([]byte{0xfb, 0xff}, 16)
	for _, text := range []string{
		hex.EncodeToString(want), base64.StdEncoding.EncodeToString(want) + "\n", base64.RawURLEncoding.EncodeToString(want),
	} {
		c, err := Load(ForCommands, "", []string{"GATEHOUSE_DATABASE_URL=postgres://h/n", "GATEHOUSE_AUTH_OPERATOR_KEY=" + text})
		require.NoError(t, err, text)
		key, err := c.OperatorKey()
		require.NoError(t, err)
		require.Equal(t, want, key)
	}
	c, err := Load(ForCommands, "", []string{"GATEHOUSE_DATABASE_URL=postgres://h/n"})
	require.NoError(t, err)
	_, err = c.OperatorKey()
	require.ErrorContains(t, err, "auth.operator_key")
}
