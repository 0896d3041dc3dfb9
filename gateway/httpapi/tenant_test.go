package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"mime/multipart"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"gatehouse/gateway/assets"
	"gatehouse/gateway/auth"
	"gatehouse/gateway/intake"
	"gatehouse/gateway/release/devices"
	"gatehouse/quota"
	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// gatehouse is the whole tenant API on a real socket, database and store, with one tenant.
type gatehouse struct {
	t           *testing.T
	db          *meta.DB
	zones       *blob.Zones
	log         *logBuffer
	url         string
	tenant, key string
}

func openGatehouse(t *testing.T) *gatehouse {
	t.Helper()
	zones, err := blob.Open(t.Context(), blob.Config{Driver: blob.DriverDisk, Root: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, zones.Close()) })
	db := metatest.SQLite(t)
	g := &gatehouse{t: t, db: db, zones: zones, log: &logBuffer{}, tenant: metatest.Tenant(t, db, 1<<20)}
	var hash string
	g.key, hash = auth.NewKey()
	g.inTx(func(tx *meta.Tx) error {
		return tx.Create(&meta.APIKey{ID: meta.NewID(), TenantID: g.tenant, Name: "k", Hash: hash, Scopes: auth.AllScopes, CreatedAt: meta.Now()})
	})
	keys := &auth.Keys{DB: db, Base: storage.Policy{
		Categories: map[storage.Category]storage.CategoryPolicy{
			storage.CategoryDocument: {Extensions: []string{"txt"}, MaxBytes: 100_000},
		},
		Limits: storage.Limits{MaxNameBytes: 255},
	}}
	o := DefaultOptions()
	o.Log, o.Metrics = slog.New(slog.NewJSONHandler(g.log, nil)), prometheus.NewRegistry()
	server, err := New(o)
	require.NoError(t, err)
	api := &assets.API{
		DB: db, Zones: zones, Log: o.Log, Timeout: time.Minute, Client: Client, RequestID: RequestID, Locale: Locale,
		Links:   &auth.Links{Secret: bytes.Repeat([]byte("k"), 32), MaxAge: time.Hour},
		Streams: make(chan struct{}, 4), Closing: make(chan struct{}),
		Intake: &intake.Intake{
			DB: db, Zones: zones, Ledger: quota.Ledger{DB: db, TTL: time.Minute}, Log: o.Log,
			Spool: intake.Spool{Dir: t.TempDir(), MemoryBytes: 1 << 20}, Refused: func(string, storage.Code) {},
		},
	}
	tokens := &devices.API{DB: db, Timeout: time.Minute, Client: Client, RequestID: RequestID}
	health := &Health{DB: db, Zones: zones, Spool: func() error { return nil }}
	require.NoError(t, Mount(server.App(), Routes(Handlers{Assets: api, Devices: tokens, Health: health}), Guards(keys), BoundUploads(4)))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	g.url = "http://" + ln.Addr().String()
	done := make(chan error, 1)
	go func() { done <- server.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, server.Shutdown(ctx))
		require.NoError(t, <-done)
	})
	return g
}

func (g *gatehouse) inTx(do func(tx *meta.Tx) error) {
	g.t.Helper()
	require.NoError(g.t, g.db.InTx(context.Background(), do))
}

// reply is what came back.
type reply struct {
	status int
	header http.Header
	body   string
}

func (r reply) refusal(t *testing.T) (code storage.Code, reason string) {
	t.Helper()
	var e struct {
		Code    storage.Code
		Details map[string]any
	}
	require.NoError(t, json.Unmarshal([]byte(r.body), &e), r.body)
	reason, _ = e.Details["reason"].(string)
	return e.Code, reason
}

func (g *gatehouse) ask(method, path string, body []byte, header ...string) reply {
	g.t.Helper()
	req, err := http.NewRequestWithContext(g.t.Context(), method, g.url+path, bytes.NewReader(body))
	require.NoError(g.t, err)
	req.Header.Set("Authorization", "Bearer "+g.key)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(g.t, err)
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	require.NoError(g.t, err)
	return reply{resp.StatusCode, resp.Header, string(all)}
}

func (g *gatehouse) upload(name, content string) reply {
	g.t.Helper()
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	part, err := w.CreateFormFile("file", name)
	require.NoError(g.t, err)
	_, err = io.WriteString(part, content)
	require.NoError(g.t, err)
	require.NoError(g.t, w.Close())
	return g.ask("POST", "/api/v1/assets", form.Bytes(), "Content-Type", w.FormDataContentType())
}

// asset uploads a file and has it scanned clean.
func (g *gatehouse) asset(name, content string) (id, digest string) {
	g.t.Helper()
	r := g.upload(name, content)
	require.Equal(g.t, http.StatusAccepted, r.status, r.body)
	var made struct{ ID, SHA256 string }
	require.NoError(g.t, json.Unmarshal([]byte(r.body), &made))
	require.NoError(g.t, g.zones.Promote(g.t.Context(), storage.BlobKey(g.tenant, made.SHA256)))
	g.inTx(func(tx *meta.Tx) error {
		tenant := tx.Tenant(g.tenant)
		if err := tenant.SetVerdict(made.SHA256, 0, storage.Verdict{Status: storage.ScanClean, ScannedAt: time.Now()},
			storage.ZoneClean, storage.MediaNone); err != nil {
			return err
		}
		_, err := tenant.FollowBlob(made.SHA256, storage.AssetAvailable, storage.EventScanned, nil)
		return err
	})
	return made.ID, made.SHA256
}

// link makes a signed link and returns its path.
func (g *gatehouse) link(id string) string {
	g.t.Helper()
	r := g.ask("POST", "/api/v1/assets/"+id+"/links", []byte(`{}`), "Content-Type", "application/json")
	require.Equal(g.t, http.StatusCreated, r.status, r.body)
	var made struct{ URL string }
	require.NoError(g.t, json.Unmarshal([]byte(r.body), &made))
	return made.URL
}

// Nobody has marked the asset, no run has looked: whoever reads it learns all the same, and the operator from the log.
func TestObjectThatIsGoneIsDamageWhoeverReadsIt(t *testing.T) {
	g := openGatehouse(t)
	id, digest := g.asset("a.txt", "the file that will be lost\n")
	const variant = "the variant that will be lost"
	v := meta.Variant{
		TenantID: g.tenant, SHA256: digest, Preset: "w320", Ext: "webp", MediaType: "image/webp", Size: int64(len(variant)),
		Digest: strings.Repeat("cd", 32), KeyTag: "t", CreatedAt: meta.Now(),
	}
	g.inTx(func(tx *meta.Tx) error {
		if _, err := tx.Exec(`UPDATE blobs SET media_status = 'done'`); err != nil {
			return err
		}
		return tx.Create(&v)
	})
	require.NoError(t, g.zones.Clean.Put(t.Context(), v.Key(), strings.NewReader(variant), v.Size, blob.PutOptions{}))
	link := g.link(id)
	original, preset := "/api/v1/assets/"+id+"/content", "/api/v1/assets/"+id+"/variants/w320"
	for _, path := range []string{original, preset, link} {
		require.Equal(t, http.StatusOK, g.ask("GET", path, nil).status, path)
		require.Equal(t, http.StatusOK, g.ask("HEAD", path, nil).status, path)
	}
	for damage, harm := range map[string]func(key string) error{
		"missing": func(key string) error { return g.zones.Clean.Delete(t.Context(), key) },
		"size": func(key string) error {
			return g.zones.Clean.Put(t.Context(), key, strings.NewReader("cut"), 3, blob.PutOptions{})
		},
	} {
		require.NoError(t, harm(storage.BlobKey(g.tenant, digest)))
		require.NoError(t, harm(v.Key()))
		for path, reason := range map[string]string{original: "original_damaged", preset: "variant_damaged", link: "original_damaged"} {
			for _, ranges := range []string{"bytes=0-", "bytes=10-12", "bytes=-2", "bytes=1-1,4-5", ""} {
				r := g.ask("GET", path, nil, "Range", ranges)
				require.Equal(t, http.StatusConflict, r.status, "%s %s %s", damage, path, ranges)
				code, why := r.refusal(t)
				require.Equal(t, storage.CodeAssetDamaged, code)
				require.Equal(t, reason, why)
				require.Contains(t, r.body, `"damage":"`+damage+`"`)
			}
			require.Equal(t, http.StatusConflict, g.ask("HEAD", path, nil).status, "%s %s", damage, path)
		}
	}
	log := g.log.String()
	for _, key := range []string{storage.BlobKey(g.tenant, digest), v.Key()} {
		require.Equal(t, 1, strings.Count(log, `"key":"`+key+`"`), "it is said once: %s", log)
	}
	require.Contains(t, log, `"asset":"`+id+`"`)
	require.NotContains(t, log, `"status":500`)
}

func TestDuplicateOfALostFileMakesItWhole(t *testing.T) {
	g := openGatehouse(t)
	const content = "the only copy, they were told\n"
	_, digest := g.asset("a.txt", content)
	require.NoError(t, g.zones.Clean.Delete(t.Context(), storage.BlobKey(g.tenant, digest)))
	r := g.upload("b.txt", content)
	require.Equal(t, http.StatusOK, r.status, r.body)
	require.Contains(t, r.body, `"duplicate":true`)
	require.Contains(t, r.body, `"damage":"missing"`)
	info, err := g.zones.Quarantine.Stat(t.Context(), storage.BlobKey(g.tenant, digest))
	require.NoError(t, err, "the bytes that were acknowledged are stored")
	require.EqualValues(t, len(content), info.Size)
	open, err := g.db.Tenant(t.Context(), g.tenant).OpenTask(storage.TaskScan, digest)
	require.NoError(t, err)
	require.True(t, open)
}

// What each endpoint says in each state of the tenant.
func TestStatesOfATenantAtEveryEndpoint(t *testing.T) {
	g := openGatehouse(t)
	id, _ := g.asset("a.txt", "a file\n")
	link := g.link(id)
	asset := "/api/v1/assets/" + id
	reads := []string{"/api/v1/assets", asset, asset + "/content", "/api/v1/policy", "/api/v1/usage"}
	const unauthenticated, suspended = storage.CodeUnauthenticated, storage.CodeTenantSuspended
	for state, want := range map[storage.TenantState]struct{ read, write, link, reason string }{
		storage.TenantActive:        {},
		storage.TenantSuspended:     {write: string(suspended)},
		storage.TenantPendingDelete: {string(suspended), string(suspended), string(storage.CodeNotFound), "tenant_pending_delete"},
		storage.TenantDeleted:       {read: string(unauthenticated), write: string(unauthenticated), link: string(storage.CodeNotFound)},
		storage.TenantFailed:        {read: string(unauthenticated), write: string(unauthenticated), link: string(storage.CodeNotFound)},
		storage.TenantProvisioning:  {read: string(unauthenticated), write: string(unauthenticated), link: string(storage.CodeNotFound)},
	} {
		g.inTx(func(tx *meta.Tx) error {
			_, err := tx.Exec(`UPDATE tenants SET state = ? WHERE id = ?`, state, g.tenant)
			return err
		})
		requireCode := func(want, reason string, r reply, what string) {
			t.Helper()
			if want == "" {
				require.Less(t, r.status, 300, "%s %s: %s", state, what, r.body)
				return
			}
			code, why := r.refusal(t)
			require.Equal(t, want, string(code), "%s %s", state, what)
			require.Equal(t, reason, why, "%s %s", state, what)
		}
		for _, path := range reads {
			requireCode(want.read, want.reason, g.ask("GET", path, nil), path)
			head := g.ask("HEAD", path, nil)
			require.Equal(t, want.read == "", head.status < 300, "%s HEAD %s", state, path)
		}
		requireCode(want.read, want.reason, g.ask("POST", asset+"/links", []byte(`{}`), "Content-Type", "application/json"), "make a link")
		requireCode(want.link, "", g.ask("GET", link, nil), "follow a link")
		requireCode(want.write, want.reason, g.upload("b.txt", "another file "+string(state)+"\n"), "upload")
		requireCode(want.write, want.reason,
			g.ask("POST", "/api/v1/assets/check", []byte(`{"name":"c.txt","size":5}`), "Content-Type", "application/json"), "check")
		if want.read != "" {
			requireCode(want.read, want.reason, g.ask("DELETE", asset, nil), "delete")
			requireCode(want.read, want.reason, g.ask("GET", asset+"/events", nil), "events")
		}
	}
}

// A tenant whose plan has no record any more reads its files; it is told why it may not upload, and what nobody can tell it.
func TestTenantWhosePlanIsLostReads(t *testing.T) {
	g := openGatehouse(t)
	const content = "a file\n"
	id, _ := g.asset("a.txt", content)
	link := g.link(id)
	asset := "/api/v1/assets/" + id
	g.inTx(func(tx *meta.Tx) error {
		_, err := tx.Exec(`DELETE FROM plans`)
		return err
	})
	for _, path := range []string{"/api/v1/assets", asset, asset + "/content", link} {
		r := g.ask("GET", path, nil)
		require.Equal(t, http.StatusOK, r.status, "%s: %s", path, r.body)
	}
	require.Equal(t, content, g.ask("GET", link, nil).body)
	// The lost plan may have been one that serves no originals of pictures.
	g.inTx(func(tx *meta.Tx) error {
		_, err := tx.Exec(`UPDATE assets SET category = 'image'`)
		return err
	})
	for what, r := range map[string]reply{
		"original": g.ask("GET", asset+"/content", nil), "original by link": g.ask("GET", link, nil),
		"upload": g.upload("b.txt", "another file\n"),
		"check":  g.ask("POST", "/api/v1/assets/check", []byte(`{"name":"c.txt","size":5}`), "Content-Type", "application/json"),
		"policy": g.ask("GET", "/api/v1/policy", nil),
		"usage":  g.ask("GET", "/api/v1/usage", nil),
	} {
		code, reason := r.refusal(t)
		require.Equal(t, storage.CodeUnavailable, code, what)
		require.Equal(t, "plan_missing", reason, what)
	}
	require.Less(t, g.ask("DELETE", asset, nil).status, 300)
}
