package storage

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMovesOfTenants(t *testing.T) {
	legal := map[string]bool{
		"provisioning->active": true, "provisioning->failed": true,
		"active->suspended": true, "active->pending_delete": true,
		"suspended->active": true, "suspended->pending_delete": true,
		"pending_delete->active": true, "pending_delete->suspended": true, "pending_delete->deleted": true,
	}
	for _, from := range TenantStates {
		for _, to := range TenantStates {
			move := string(from) + "->" + string(to)
			require.Equal(t, legal[move], CanMoveTenant(from, to), move)
		}
	}
	require.ElementsMatch(t, TenantStates, slices.Collect(maps.Keys(tenantMoves)), "every state has its row")
	require.False(t, CanMoveTenant("unheard of", TenantActive))
}

func TestWhatIsServedAndWhatIsOver(t *testing.T) {
	for _, s := range TenantStates {
		require.Equal(t, s == TenantActive || s == TenantSuspended, s.Served(), s)
		require.Equal(t, s == TenantDeleted || s == TenantFailed, s.Over(), s)
	}
}
