package api_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/gateway/admin"
	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// tenant makes a tenant through the API.
func (d *desk) tenant(name string) admin.NewTenant {
	d.t.Helper()
	var made admin.NewTenant
	d.ok(200, http.MethodPost, "tenants", map[string]any{"name": name, "plan": "free", "reason": "a customer"}, &made)
	return made
}

func TestTenantLife(t *testing.T) {
	d := newDesk(t, metatest.SQLite(t))
	made := d.tenant("Acme & Söhne")
	require.Equal(t, "a customer", d.record("tenant.create")["reason"])
	path := "tenants/" + url.PathEscape("Acme & Söhne")
	var shown admin.Tenant
	d.ok(200, http.MethodGet, path, nil, &shown)
	require.Equal(t, made.TenantID, shown.ID, "a name with a space is found")
	require.Len(t, shown.Keys, 1)

	require.Equal(t, "reason_missing", d.refused(400, http.MethodPost, path+"/suspend", map[string]any{"reason": " "}))
	for _, step := range []struct {
		method, path string
		body         map[string]any
		action       string
	}{
		{http.MethodPost, path + "/suspend", map[string]any{"reason": "unpaid"}, "tenant.suspend"},
		{http.MethodPost, path + "/resume", map[string]any{"reason": "paid"}, "tenant.resume"},
		{http.MethodPut, path + "/plan", map[string]any{"plan": "pro"}, "tenant.plan"},
		{http.MethodPut, path + "/quota", map[string]any{"bytes": 77}, "tenant.quota"},
		{http.MethodPatch, path + "/overrides", map[string]any{"set": map[string]any{"max_files": 5}}, "tenant.overrides"},
	} {
		var c admin.Change
		d.ok(200, step.method, step.path, step.body, &c)
		require.Equal(t, made.TenantID, c.TenantID)
		require.NotNil(t, d.record(step.action)["after"])
	}
	d.ok(200, http.MethodGet, path, nil, &shown)
	require.EqualValues(t, 77, shown.QuotaBytes)
	require.Equal(t, "quota_missing", d.refused(400, http.MethodPut, path+"/quota", map[string]any{}))
	d.ok(200, http.MethodDelete, path+"/quota", nil, nil)
	d.ok(200, http.MethodGet, path, nil, &shown)
	require.False(t, shown.OwnQuota)

	d.tenant("other")
	require.Equal(t, "tenant_exists", d.refused(409, http.MethodPatch, path, map[string]any{"name": "other"}))
	require.Equal(t, "tenant_name", d.refused(400, http.MethodPatch, path, map[string]any{"name": " x"}))
	var c admin.Change
	d.ok(200, http.MethodPatch, path, map[string]any{"name": "acme", "reason": "shorter"}, &c)
	require.Equal(t, map[string]any{"before": "Acme & Söhne", "after": "acme", "reason": "shorter"}, d.record("tenant.rename"))
	require.Equal(t, "acme", c.Name)
	require.Equal(t, "tenant_unknown", d.refused(404, http.MethodGet, path, nil))

	var events page[admin.Record]
	d.ok(200, http.MethodGet, "tenants/acme/events?action=tenant&limit=3", nil, &events)
	require.Len(t, events.Items, 3)
	require.Equal(t, "tenant.rename", events.Items[0].Action)
	require.Equal(t, "super", events.Items[0].Role)
	d.ok(200, http.MethodGet, "tenants/acme/events?action=tenant&limit=3&cursor="+*events.NextCursor, nil, &events)
	require.Equal(t, "tenant.quota", events.Items[0].Action)
}

// A tenant is purged when it is deleted, named, exported and has cooled off, and in no other case.
func TestHardDelete(t *testing.T) {
	d := newDesk(t, metatest.SQLite(t))
	made := d.tenant("acme")
	require.NoError(t, d.DB.InTx(t.Context(), func(tx *meta.Tx) error {
		for i := range 3 {
			a := meta.Asset{
				ID: meta.NewID(), Name: fmt.Sprintf("=%d.txt", i), SHA256: strings.Repeat("a", 64), Category: storage.CategoryDocument, Size: 7,
				State: storage.AssetAvailable, CreatedAt: meta.Now(), UpdatedAt: meta.Now(),
			}
			if err := tx.Tenant(made.TenantID).CreateAsset(&a); err != nil {
				return err
			}
		}
		return nil
	}))
	purge := func(status int, confirm string) string {
		return d.refused(status, http.MethodPost, "tenants/acme/purge", map[string]any{"confirm": confirm, "reason": "they asked"})
	}
	why := map[string]any{"reason": "they left"}
	d.ok(200, http.MethodPost, "tenants/acme/export", nil, nil)
	require.Equal(t, "tenant_state", purge(409, "acme"))
	d.ok(200, http.MethodDelete, "tenants/acme", why, nil)
	require.Equal(t, "purge_confirm", purge(400, "acm"))
	require.Equal(t, "purge_export", purge(409, "acme"), "an export from before the deletion is not the last word")

	var e admin.Export
	d.ok(200, http.MethodPost, "tenants/acme/export", why, &e)
	require.EqualValues(t, 3, e.Files)
	status, csv := d.do(http.MethodGet, "tenants/acme/export?format=csv", nil)
	require.Equal(t, 200, status)
	sum := sha256.Sum256(csv)
	require.Equal(t, hex.EncodeToString(sum[:]), e.SHA256, "the digest is that of the file that one gets")
	require.EqualValues(t, len(csv), e.Bytes)
	require.Equal(t, e.SHA256, d.record("tenant.export")["sha256"])
	require.Contains(t, string(csv), ",'=0.txt,")

	require.Equal(t, "purge_cooling_off", purge(409, "acme"))
	d.ok(200, http.MethodPost, "tenants/acme/restore", why, nil)
	d.ok(200, http.MethodDelete, "tenants/acme", why, nil)
	require.Equal(t, "purge_export", purge(409, "acme"), "deleted anew")
	d.ok(200, http.MethodPost, "tenants/acme/export", why, nil)
	_, err := d.DB.Exec(t.Context(), `UPDATE tenants SET delete_after = 1 WHERE id = ?`, made.TenantID)
	require.NoError(t, err)
	d.ok(200, http.MethodPost, "tenants/acme/purge", map[string]any{"confirm": "acme", "reason": "they asked"}, nil)
	require.Equal(t, "they asked", d.record("tenant.purge_now")["reason"])
	task, err := d.DB.TaskLike(t.Context(), meta.PurgeTask(made.TenantID))
	require.NoError(t, err)
	require.Equal(t, storage.TaskQueued, task.State)
}

func TestTenantList(t *testing.T) {
	d := newDesk(t, metatest.SQLite(t))
	for _, name := range []string{"a,b", "b", "c"} {
		d.tenant(name)
	}
	for _, sort := range []string{"", "name", "created", "used", "last_upload"} {
		var names []string
		for cursor := ""; ; {
			var p page[admin.TenantLine]
			d.ok(200, http.MethodGet, "tenants?limit=1&sort="+sort+cursor, nil, &p)
			names = append(names, p.Items[0].Name)
			if p.NextCursor == nil {
				break
			}
			cursor = "&cursor=" + *p.NextCursor
		}
		require.ElementsMatch(t, []string{"a,b", "b", "c"}, names, sort)
	}
	require.Equal(t, "sort", d.refused(400, http.MethodGet, "tenants?sort=x", nil))
	require.Equal(t, "cursor", d.refused(400, http.MethodGet, "tenants?cursor=MjphYmM", nil))
	status, csv := d.do(http.MethodGet, "tenants?format=csv&q=B&over_percent=0", nil)
	require.Equal(t, 200, status)
	require.Len(t, strings.Split(strings.TrimSpace(string(csv)), "\n"), 3)
	require.Contains(t, string(csv), "uploads_30d")
}

func TestKeys(t *testing.T) {
	d := newDesk(t, metatest.SQLite(t))
	d.tenant("acme")
	d.tenant("other")
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	var made admin.NewKey
	d.ok(200, http.MethodPost, "tenants/acme/keys", map[string]any{"name": "ci", "scopes": []string{"read", "read"}, "expires_at": until}, &made)
	require.NotEmpty(t, made.APIKey)
	for body, reason := range map[string]map[string]any{
		"key_name": {"name": ""}, "key_scope": {"name": "x", "scopes": []string{"admin"}}, "key_expiry": {"name": "x", "expires_at": time.Now()},
	} {
		require.Equal(t, body, d.refused(400, http.MethodPost, "tenants/acme/keys", reason))
	}
	var list page[admin.Key]
	d.ok(200, http.MethodGet, "tenants/acme/keys", nil, &list)
	require.Len(t, list.Items, 2)
	require.Equal(t, []string{"read"}, list.Items[1].Scopes)
	require.Equal(t, until, *list.Items[1].ExpiresAt)

	require.Equal(t, "key_unknown", d.refused(404, http.MethodDelete, "tenants/other/keys/"+made.KeyID, nil))
	require.Equal(t, "key_unknown", d.refused(404, http.MethodDelete, "tenants/acme/keys/"+made.APIKey, nil), "a key has no place in an address")
	d.ok(200, http.MethodDelete, "tenants/acme/keys/"+made.KeyID, map[string]any{"reason": "leaked"}, nil)
	require.Equal(t, "key_revoked", d.refused(409, http.MethodDelete, "tenants/acme/keys/"+made.KeyID, nil))

	records, err := d.DB.AuditLog(t.Context(), meta.AuditFilter{}, 100)
	require.NoError(t, err)
	for _, r := range records {
		require.NotContains(t, fmt.Sprint(r), made.APIKey)
		require.NotContains(t, fmt.Sprint(r), "ghk_")
	}
}
