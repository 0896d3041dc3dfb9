package api_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/gateway/admin"
	"gatehouse/storage/meta/metatest"
)

func TestPlans(t *testing.T) {
	d := newDesk(t, metatest.SQLite(t))
	var p admin.Plan
	d.ok(200, http.MethodPost, "plans", map[string]any{"name": "mid", "like": "free", "reason": "trial"}, &p)
	require.Equal(t, "mid", p.Name)
	require.Equal(t, "trial", d.record("plan.create")["reason"])

	var first, second page[admin.Plan]
	d.ok(200, http.MethodGet, "plans?limit=2", nil, &first)
	require.Len(t, first.Items, 2)
	d.ok(200, http.MethodGet, "plans?limit=2&cursor="+*first.NextCursor, nil, &second)
	require.Equal(t, "pro", second.Items[0].Name)
	require.Nil(t, second.NextCursor)

	var c admin.Change
	d.ok(200, http.MethodPatch, "plans/mid", map[string]any{"set": map[string]any{"storage_bytes": 7}}, &c)
	d.ok(200, http.MethodGet, "plans/mid", nil, &p)
	require.EqualValues(t, 7, p.StorageBytes)
	d.ok(204, http.MethodDelete, "plans/mid", nil, nil)
	require.Equal(t, "plan_unknown", d.refused(404, http.MethodGet, "plans/mid", nil))

	status, csv := d.do(http.MethodGet, "plans?format=csv", nil)
	require.Equal(t, 200, status)
	require.Regexp(t, "^name,storage_bytes,spec,tenants,updated_at\nfree,1048576,\\{\\},0,", string(csv))
}

func TestWhatCannotBeUnderstoodIsRefused(t *testing.T) {
	d := newDesk(t, metatest.SQLite(t))
	for path, reason := range map[string]string{
		"plans?limit=0": "limit", "plans?limit=x": "limit", "plans?cursor=x": "cursor", "plans?format=xml": "format", "plans?named=free": "parameter_unknown",
	} {
		require.Equal(t, reason, d.refused(400, http.MethodGet, path, nil), path)
	}
	require.NotEmpty(t, d.refused(400, http.MethodPost, "plans", map[string]any{"named": "x"}))
	require.NotEmpty(t, d.refused(400, http.MethodPatch, "plans/free", map[string]any{"Name": "pro"}), "a path is not set by a body")
}
