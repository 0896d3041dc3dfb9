package httpapi

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/gateway/auth/operator"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// TestAFailedPublicationIsRecordedWithItsReasons: an alert rule reads it.
func TestAFailedPublicationIsRecordedWithItsReasons(t *testing.T) {
	g := openGate(t, metatest.SQLite(t), nil)
	session := g.session(g.hire("alex", operator.Super), operator.StageFull, time.Now())
	made := g.send(g.of(session, call{method: http.MethodPost, path: "/api/admin/client-releases", body: `{"platform":"linux","arch":"x64","version":"1.0.0"}`}))
	require.Equal(t, 200, made.status, "%s", made.body)
	var release struct{ ID string }
	require.NoError(t, json.Unmarshal([]byte(made.body), &release))
	refused := g.send(g.of(session, call{method: http.MethodPost, path: "/api/admin/client-releases/" + release.ID + "/publish", body: `{"percentage":5,"reason":"the plan"}`}))
	require.Equal(t, 422, refused.status, "%s", refused.body)

	list, err := g.db.AuditLog(t.Context(), meta.AuditFilter{Action: "release.publish"}, 10)
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, audit.Refused, list[0].Result)
	require.Equal(t, "RELEASE_NOT_PUBLISHABLE", list[0].Code)
	require.Equal(t, release.ID, list[0].Target)
	var data struct {
		Why     string
		Reasons []struct{ Reason, Sentence string }
	}
	require.NoError(t, json.Unmarshal([]byte(list[0].Data), &data))
	require.Equal(t, "installer_missing", data.Why)
	require.Equal(t, "installer_missing", data.Reasons[0].Reason)
	require.NotEmpty(t, data.Reasons[0].Sentence)
}
