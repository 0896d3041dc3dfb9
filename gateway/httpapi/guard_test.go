package httpapi

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/valyala/fasthttp"

	"gatehouse/gateway/auth"
	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// A client that asks before it sends is told that there is no room before it has sent anything.
func TestPrecheckAsksForRoom(t *testing.T) {
	db := metatest.SQLite(t)
	tenant := metatest.Tenant(t, db, 1<<20)
	key, hash := auth.NewKey()
	require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error {
		return tx.Create(&meta.APIKey{ID: meta.NewID(), TenantID: tenant, Name: "k", Hash: hash, Scopes: auth.AllScopes, CreatedAt: meta.Now()})
	}))
	base := storage.Policy{Categories: map[storage.Category]storage.CategoryPolicy{storage.CategoryImage: {MaxBytes: 10 << 20}}}
	short := storage.Refuse(storage.CodeUnavailable, nil)
	var asked []int64
	refused := 0
	check := Precheck(&auth.Keys{DB: db, Base: base}, Operators{}, func(bytes int64) error {
		if asked = append(asked, bytes); bytes > 1<<20 {
			return short
		}
		return nil
	}, func(p *auth.Principal, _ audit.Actor, err error) {
		require.Equal(t, tenant, p.TenantID)
		require.ErrorIs(t, err, short)
		refused++
	})
	request := func(path string, length int) error {
		var ctx fasthttp.RequestCtx
		ctx.Request.SetRequestURI(path)
		ctx.Request.Header.Set("Authorization", "Bearer "+key)
		if length >= 0 {
			ctx.Request.Header.Set("Content-Length", strconv.Itoa(length))
		}
		ctx.Request.Header.SetContentLength(length)
		return check(&ctx)
	}
	require.NoError(t, request(UploadPath, 100))
	require.NoError(t, request(UploadPath, -1))
	require.NoError(t, request("/elsewhere", 5<<20))
	require.ErrorIs(t, request(UploadPath, 5<<20), short)
	require.Equal(t, []int64{0, -1, 5<<20 - 256<<10}, asked, "the form around the file takes no room")
	require.Equal(t, 1, refused)
}
