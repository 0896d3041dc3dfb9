package snapshot

import (
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
)

// TestOperatorsStayOut: what was taken from operators since the snapshot a restore does not give back.
func TestOperatorsStayOut(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			db := open(t, kind.url(t), true)
			s := storeOf(t, db, zonesOf(t).Snapshots)
			tenantWith(t, db, "t", 1)
			require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error {
				for _, id := range []string{"gone", "lower", "changed", "reset", "as-it-was", "lost", "opened"} {
					o := meta.Operator{
						ID: id, Name: id, Role: "super", State: meta.OperatorActive, PasswordHash: "old", PasswordAt: 10,
						TOTPSecret: "secret", TOTPStep: 5, EnrolledAt: 10, UpdatedAt: 10,
					}
					if id == "opened" {
						o.State, o.Role = meta.OperatorInactive, "auditor"
					}
					require.NoError(t, tx.Create(&o))
					require.NoError(t, tx.Create(&meta.RecoveryCode{ID: "code-" + id, OperatorID: id, Hash: "h"}))
					require.NoError(t, tx.Create(&meta.OperatorToken{ID: "token-" + id, OperatorID: id, Name: "ci", Role: "ops", Hash: "h-" + id, CreatedAt: 10, ExpiresAt: 1 << 60}))
					require.NoError(t, tx.Create(&meta.OperatorSession{ID: "session-" + id, OperatorID: id, Hash: "h-" + id}))
					require.NoError(t, tx.Create(&meta.OperatorLink{ID: "link-" + id, OperatorID: id, Hash: "h-" + id}))
				}
				require.NoError(t, tx.Create(&meta.OperatorAttempt{Subject: "s", Failures: 1}))
				return tx.Create(&meta.OperatorNetwork{ID: "n1", CIDR: "10.0.0.0/8"})
			}))
			m, err := s.Create(t.Context(), ReasonManual)
			require.NoError(t, err)

			for _, sql := range []string{
				"UPDATE operators SET state = 'inactive', updated_at = 20 WHERE id = 'gone'",
				"UPDATE operators SET role = 'auditor', updated_at = 20 WHERE id = 'lower'",
				"UPDATE operators SET password_hash = 'new', password_at = 20, totp_step = 9, updated_at = 20 WHERE id = 'changed'",
				"UPDATE operators SET password_hash = '', totp_secret = '', totp_step = 0, enrolled_at = 0, updated_at = 20 WHERE id = 'reset'",
				"DELETE FROM operator_recovery_codes WHERE operator_id = 'reset'",
				"UPDATE operators SET totp_step = 7 WHERE id = 'as-it-was'",
				"UPDATE operators SET state = 'active', role = 'super', updated_at = 20 WHERE id = 'opened'",
				"UPDATE operator_recovery_codes SET used_at = 20 WHERE operator_id = 'changed'",
				"UPDATE operator_tokens SET revoked_at = 20 WHERE id = 'token-changed'",
				"DELETE FROM operators WHERE id = 'lost'",
				"DELETE FROM operator_tokens WHERE id = 'token-lost'",
				"DELETE FROM operator_networks",
				"INSERT INTO operator_networks (id, cidr, note, created_at) VALUES ('n2', '192.0.2.0/24', '', 0)",
				"INSERT INTO operator_passwords (id, operator_id, hash, created_at) VALUES ('p2', 'changed', 'new', 20)",
			} {
				exec(t, db, sql)
			}
			require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error {
				for _, action := range []string{"deactivate", "reset"} { // the log alone knows
					require.NoError(t, audit.Write(tx, audit.Entry{Actor: audit.CLI, Action: "operator." + action, Target: "lost", Result: audit.OK}))
				}
				return audit.Write(tx, audit.Entry{
					Actor: audit.CLI, Action: "operator.role", Target: "lost", Result: audit.OK, Data: map[string]any{"before": "super", "after": "ops"},
				})
			}))

			res, err := s.Restore(t.Context(), m.ID, Options{Mode: Replace, Actor: audit.CLI})
			require.NoError(t, err)
			require.Equal(t, []string{
				"networks of operators: as before the restore",
				"operator changed: password and second factor as before the restore",
				"operator gone: inactive",
				"operator lost: inactive",
				"operator lost: ops",
				"operator lost: password and second factor as before the restore",
				"operator lower: auditor",
				"operator reset: password and second factor as before the restore",
				"token token-changed of operator changed: revoked",
				"token token-lost of operator lost: revoked",
			}, res.Stricter)

			type facts struct {
				role, state, password string
				step                  int64
			}
			got := map[string]facts{}
			list, err := db.Operators(t.Context())
			require.NoError(t, err)
			for _, o := range list {
				got[o.ID] = facts{o.Role, o.State, o.PasswordHash, o.TOTPStep}
			}
			require.Equal(t, map[string]facts{
				"gone": {"super", "inactive", "old", 5}, "lower": {"auditor", "active", "old", 5}, "changed": {"super", "active", "new", 9},
				"reset": {"super", "active", "", 0}, "as-it-was": {"super", "active", "old", 7}, "lost": {"ops", "inactive", "", 0},
				"opened": {"auditor", "inactive", "old", 5},
			}, got)
			codes, err := db.CountRecoveryCodes(t.Context())
			require.NoError(t, err)
			require.Equal(t, map[string]int{"gone": 1, "lower": 1, "as-it-was": 1, "opened": 1}, codes)
			networks, err := db.OperatorNetworks(t.Context())
			require.NoError(t, err)
			require.Len(t, networks, 1)
			require.Equal(t, "192.0.2.0/24", networks[0].CIDR)
			for table, want := range map[string]int{
				"operator_sessions": 0, "operator_links": 0, "operator_attempts": 0, "operator_tokens WHERE revoked_at = 0": 5, "operator_passwords": 1,
			} {
				var n int
				require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error {
					_, err := tx.Scan(&n, "SELECT COUNT(*) FROM "+table)
					return err
				}))
				require.Equal(t, want, n, table)
			}
		})
	}
}
