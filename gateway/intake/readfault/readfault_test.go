package readfault

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

type broken struct{ err error }

func (b broken) ReadAt([]byte, int64) (int, error) { return 0, b.err }

func TestJudge(t *testing.T) {
	verdict := errors.New("damaged")
	var buf [8]byte

	good := New(strings.NewReader("text"))
	n, err := good.ReadAt(buf[:], 0)
	require.Equal(t, 4, n)
	require.ErrorIs(t, err, io.EOF)
	require.NoError(t, good.Judge(nil), "the end of the file is no fault")
	require.Equal(t, verdict, good.Judge(verdict))

	bad := New(broken{io.ErrClosedPipe})
	_, err = bad.ReadAt(buf[:], 0)
	require.Error(t, err)
	require.ErrorIs(t, bad.Judge(verdict), io.ErrClosedPipe)
	require.ErrorIs(t, bad.Judge(nil), io.ErrClosedPipe, "not even a good verdict counts")
}
