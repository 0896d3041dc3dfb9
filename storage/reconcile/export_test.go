package reconcile

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHarmless(t *testing.T) {
	for _, s := range []string{"=1", "+1", "-1", "@x", "＝1", "＋1", "－1", "＠x", "\tx", "\rx", "\nx"} {
		require.Equal(t, "'"+s, harmless(s))
	}
	for _, s := range []string{"", "a=1", "文件", "\xff"} {
		require.Equal(t, s, harmless(s))
	}
}
