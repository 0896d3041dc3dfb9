package release

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestListsOfDigestsStayWithinTheirMemory(t *testing.T) {
	var l lists
	const each = listsBytes / 8
	for i := range 8 {
		l.put(fmt.Sprint(i), &digests{1, make([]byte, each)})
	}
	require.NotNil(t, l.get("0")) // and now it is the last asked for
	l.put("8", &digests{1, make([]byte, each)})
	require.Nil(t, l.get("1"))
	for _, kept := range []string{"0", "2", "7", "8"} {
		require.NotNil(t, l.get(kept), kept)
	}
	require.LessOrEqual(t, l.bytes, listsBytes)
	l.put("large", &digests{1, make([]byte, 2*listsBytes)}) // it is in use: memory has it anyway
	require.Equal(t, 1, l.recent.Len())
	l.put("next", &digests{1, make([]byte, each)})
	require.Nil(t, l.get("large"))
	require.Equal(t, each, l.bytes)
	require.Len(t, l.byFile, 1)
}
