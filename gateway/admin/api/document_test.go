package api_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/gateway/httpapi"
	"gatehouse/storage/meta/metatest"
)

func TestOperatorsReadTheDocument(t *testing.T) {
	status, raw := newDesk(t, metatest.SQLite(t)).do(http.MethodGet, "openapi.yaml", nil)
	require.Equal(t, 200, status)
	require.Equal(t, string(httpapi.AdminOpenAPI), string(raw))
}
