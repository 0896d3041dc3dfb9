package snapshot

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
)

// TestDeviceTokensStayAway: one that was revoked since the snapshot is good for nothing after a restore.
func TestDeviceTokensStayAway(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			db := open(t, kind.url(t), true)
			s := storeOf(t, db, zonesOf(t).Snapshots)
			tenantWith(t, db, "t", 1)
			token := meta.DeviceToken{ID: meta.NewID(), TenantID: "t", UserID: "u", DeviceID: "d", Hash: digestNo(7)}
			require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error {
				_, err := tx.Tenant("t").AddDeviceToken(&token, time.Hour)
				return err
			}))
			beat := func() meta.HeartbeatResult {
				end, err := db.DeviceHeartbeat(t.Context(), meta.Heartbeat{
					TokenHash: token.Hash, DeviceID: "d", Version: "1.0.0", Channel: "stable", Platform: "win32", Arch: "x64", OSVersion: "10",
				})
				require.NoError(t, err)
				return end.Result
			}
			require.Equal(t, meta.HeartbeatAccepted, beat())
			m, err := s.Create(t.Context(), ReasonDaily)
			require.NoError(t, err)
			require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error {
				n, err := tx.Tenant("t").RevokeDeviceTokens(meta.DeviceTokenFilter{ID: token.ID})
				require.EqualValues(t, 1, n)
				return err
			}))
			require.Equal(t, meta.HeartbeatBadToken, beat())

			_, err = s.Restore(t.Context(), m.ID, Options{Mode: Replace, Actor: audit.CLI})
			require.NoError(t, err)
			require.Equal(t, meta.HeartbeatBadToken, beat())
		})
	}
}
