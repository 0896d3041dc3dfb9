package assets

import (
	"bufio"
	"bytes"
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/stretchr/testify/require"

	"gatehouse/gateway/auth"
	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// served is an API with one tenant and one asset of it that may be read.
type served struct {
	*API
	t             *testing.T
	tenant, asset string
}

func newServed(t *testing.T) *served {
	ctx := context.Background()
	zones, err := blob.Open(ctx, blob.Config{Driver: blob.DriverDisk, Root: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, zones.Close()) })
	db := metatest.SQLite(t)
	s := &served{t: t, tenant: metatest.Tenant(t, db, 1<<20), asset: meta.NewID(), API: &API{
		DB: db, Zones: zones, Timeout: time.Minute, Links: &auth.Links{Secret: bytes.Repeat([]byte("k"), 32), MaxAge: time.Hour},
	}}
	const content = "the file"
	digest := strings.Repeat("ab", 32)
	require.NoError(t, zones.Clean.Put(ctx, storage.BlobKey(s.tenant, digest), strings.NewReader(content), int64(len(content)), blob.PutOptions{}))
	require.NoError(t, db.InTx(ctx, func(tx *meta.Tx) error {
		tenant, now := tx.Tenant(s.tenant), meta.Now()
		if _, err := tenant.CreateBlob(&meta.Blob{
			SHA256: digest, Size: int64(len(content)), Zone: storage.ZoneClean, Refs: 1, Category: storage.CategoryDocument,
			ScanStatus: storage.ScanClean, MediaStatus: storage.MediaNone, CreatedAt: now, UpdatedAt: now,
		}); err != nil {
			return err
		}
		if err := tenant.CreateAsset(&meta.Asset{
			ID: s.asset, SHA256: digest, Name: "file.txt", Ext: "txt", Category: storage.CategoryDocument, MediaType: "text/plain",
			Size: int64(len(content)), State: storage.AssetAvailable, CreatedAt: now, UpdatedAt: now,
		}); err != nil {
			return err
		}
		return tenant.Record(s.asset, storage.EventScanned, nil)
	}))
	return s
}

func (s *served) put(state storage.TenantState) {
	require.NoError(s.t, s.DB.InTx(context.Background(), func(tx *meta.Tx) error {
		_, err := tx.Exec(`UPDATE tenants SET state = ? WHERE id = ?`, state, s.tenant)
		return err
	}))
}

func TestLinksAndOpenEventStreamsFollowTheStateOfTheTenant(t *testing.T) {
	s := newServed(t)
	var refusal error
	app := fiber.New(fiber.Config{ErrorHandler: func(c *fiber.Ctx, err error) error {
		refusal = err
		return c.SendStatus(fiber.StatusTeapot)
	}})
	app.Get("/d/:token", s.Download)
	token, err := s.Links.Sign(auth.Link{TenantID: s.tenant, AssetID: s.asset, Expires: time.Now().Add(time.Hour).Unix()})
	require.NoError(t, err)

	for _, state := range storage.TenantStates {
		s.put(state)
		refusal = nil
		answer, err := app.Test(httptest.NewRequest("GET", "/d/"+token, nil), -1)
		require.NoError(t, err)
		var out bytes.Buffer
		w := bufio.NewWriter(&out)
		stream := &eventStream{api: s.API, tenant: s.tenant, asset: s.asset}
		require.NoError(t, stream.run(w))
		require.NoError(t, w.Flush())
		if state == storage.TenantActive || state == storage.TenantSuspended {
			require.Equal(t, fiber.StatusOK, answer.StatusCode, "%s: %v", state, refusal)
			require.Contains(t, out.String(), "event: end")
			continue
		}
		require.Equal(t, storage.CodeNotFound, storage.CodeOf(refusal), state)
		require.Empty(t, out.String(), state)
	}
}

// A damaged asset has the states that it had before. Its stream is open while somebody is at work on the bytes.
func TestEventStreamOfADamagedAssetGoesOnWhileItHeals(t *testing.T) {
	ctx := context.Background()
	s := newServed(t)
	digest := strings.Repeat("ab", 32)
	look := func() (ended bool, out string) {
		var b bytes.Buffer
		w := bufio.NewWriter(&b)
		stream := &eventStream{api: s.API, tenant: s.tenant, asset: s.asset, after: 1 << 40}
		_, ended, err := stream.news(w)
		require.NoError(t, err)
		require.NoError(t, w.Flush())
		return ended, b.String()
	}
	inTx := func(fn func(tx *meta.Tx) error) { require.NoError(t, s.DB.InTx(ctx, fn)) }
	requarantine := func(tx *meta.Tx) error {
		b, err := tx.Tenant(s.tenant).Blob(digest)
		require.NoError(t, err)
		if err := tx.Tenant(s.tenant).Requarantine(digest, b.Revision); err != nil {
			return err
		}
		_, err = tx.Enqueue(meta.BlobTask(storage.TaskScan, s.tenant, digest))
		return err
	}
	inTx(func(tx *meta.Tx) error {
		b, err := tx.Tenant(s.tenant).Blob(digest)
		require.NoError(t, err)
		return tx.Tenant(s.tenant).MarkDamaged(digest, b.Revision, storage.DamageMissing)
	})
	ended, out := look()
	require.True(t, ended, "nobody is at work")
	require.Contains(t, out, `"damage":"missing"`)

	inTx(requarantine)
	ended, out = look()
	require.False(t, ended)
	require.Empty(t, out)

	inTx(func(tx *meta.Tx) error {
		_, err := tx.Exec(`UPDATE blobs SET damage = '', scan_status = 'clean', zone = 'clean' WHERE sha256 = ?`, digest)
		require.NoError(t, err)
		return tx.Tenant(s.tenant).CancelTasks(digest)
	})
	ended, out = look()
	require.True(t, ended, "it is healed")
	require.Contains(t, out, `"damage":null`)
}
