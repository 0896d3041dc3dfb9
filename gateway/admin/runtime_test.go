package admin_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"gatehouse/storage/meta"
)

// TestSettingsAreSetOneByOne: of many who set what nobody has set, each records the value of the one before.
func TestSettingsAreSetOneByOne(t *testing.T) {
	onEach(t, func(t *testing.T, o office) {
		var g errgroup.Group
		for i := range 6 {
			g.Go(func() error {
				_, err := o.Set(ctx, "alerts.refusals", json.RawMessage(fmt.Sprint(100+i)), "ann")
				return err
			})
		}
		require.NoError(t, g.Wait())
		log, err := o.DB.AuditLog(ctx, meta.AuditFilter{Action: "setting.set"}, 100)
		require.NoError(t, err)
		require.Len(t, log, 6)
		before := map[int64]bool{}
		for _, r := range log {
			facts := struct{ Before int64 }{}
			require.NoError(t, json.Unmarshal([]byte(r.Data), &facts))
			require.False(t, before[facts.Before], "two came after %d", facts.Before)
			before[facts.Before] = true
		}
	})
}
