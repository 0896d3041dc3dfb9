package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/stretchr/testify/require"

	"gatehouse/e2e/rig"
	"gatehouse/e2e/services"
	"gatehouse/storage"
)

// recovery is how long everything may take to be as it should after a disturbance.
const recovery = 3 * time.Minute

// TestNothingAcknowledgedIsLost disturbs a loaded system in every way that a bad night has, and then counts: what
// was acknowledged is there, bit by bit, what was not is not, the ledger is exact, and no object is left over.
func TestNothingAcknowledgedIsLost(t *testing.T) {
	r := rig.Distributed(t, rig.Options{Workers: 2, Env: map[string]string{
		"GATEHOUSE_RETENTION_ORPHAN_GRACE":  "1s",
		"GATEHOUSE_RETENTION_DELETED_GRACE": "1s",
		"GATEHOUSE_QUOTA_RESERVATION_TTL":   "10s",
		// What was killed leaves much, and the runs are to go through.
		"GATEHOUSE_RECONCILE_BRAKE_MIN": "100000", "GATEHOUSE_RECONCILE_BRAKE_TENANT_MIN": "100000",
	}})
	restart := func(name string) func(*testing.T) {
		return func(t *testing.T) { services.Control(t, "restart", name) }
	}
	kill := func(name string) func(*testing.T) {
		return func(t *testing.T) {
			services.Control(t, "kill", name)
			services.Control(t, "start", name)
		}
	}
	for _, d := range []struct {
		name string
		do   func(*testing.T)
	}{
		{"worker killed", func(*testing.T) {
			for range 3 {
				r.Workers[0].Kill()
				r.Workers[0].Start()
				time.Sleep(500 * time.Millisecond)
			}
		}},
		{"both workers killed", func(*testing.T) {
			r.Workers[0].Kill()
			r.Workers[1].Kill()
			r.Workers[0].Start()
			r.Workers[1].Start()
		}},
		{"gateway killed", func(*testing.T) {
			r.Gateways[0].Kill()
			r.Gateways[0].Start()
			r.WaitReady(0)
		}},
		{"rabbitmq restarted", restart("rabbitmq")},
		{"clamd killed", kill("clamd")},
		{"minio killed", kill("minio")},
		{"postgres killed", kill("postgres")},
		{"postgres restarted", restart("postgres")},
	} {
		t.Run(d.name, func(t *testing.T) {
			c := *r.Tenant(strings.ReplaceAll(d.name, " ", "-"), "pro")
			c.T = t
			l := startLoad(&c)
			l.until(t, 30)
			d.do(t)
			r.WaitReady(0)
			l.until(t, l.count()+30)
			l.stop()
			t.Logf("%d uploads acknowledged, %d failed", len(l.acked), l.failed)
			checkEverything(t, r, &c, l)
		})
	}
}

// load uploads files all the time and remembers what was acknowledged.
type load struct {
	c    *rig.Client
	quit chan struct{}
	wg   sync.WaitGroup

	mu     sync.Mutex
	acked  map[string]string // asset id to digest
	failed int
}

func startLoad(c *rig.Client) *load {
	l := &load{c: c, quit: make(chan struct{}), acked: map[string]string{}}
	for i := range 6 {
		l.wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-l.quit:
					return
				default:
				}
				l.one(i, n)
				time.Sleep(50 * time.Millisecond) // load, not a flood: some disturbances take a minute
			}
		})
	}
	return l
}

func (l *load) one(i, n int) {
	name, content := fmt.Sprintf("note-%d-%d.txt", i, n), text(l.c.T, 20_000+n%7*1000)
	if i == 0 {
		name, content = fmt.Sprintf("photo-%d.jpg", n), photo(l.c.T.(*testing.T), 400, 300)
	}
	sum := sha256.Sum256(content)
	a, err := l.c.Upload(name, content)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.failed++
		time.Sleep(20 * time.Millisecond) // a gateway that is away answers at once
		return
	}
	l.acked[a.ID] = hex.EncodeToString(sum[:])
}

func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acked)
}

// until waits until so many uploads were acknowledged.
func (l *load) until(t *testing.T, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return l.count() >= n }, recovery, 20*time.Millisecond, "uploads stand still")
}

func (l *load) stop() {
	close(l.quit)
	l.wg.Wait()
}

func checkEverything(t *testing.T, r *rig.Rig, c *rig.Client, l *load) {
	t.Helper()
	for id, digest := range l.acked {
		a := c.Await(id, recovery, rig.Ready)
		require.Equal(t, "available", a.State, "%+v", a)
		require.NotEqual(t, "failed", a.Media.Status, a.Media.Error)
		raw, err := c.Bytes("/api/v1/assets/" + id + "/content")
		require.NoError(t, err)
		sum := sha256.Sum256(raw)
		require.Equal(t, digest, hex.EncodeToString(sum[:]), "the bytes of %s", id)
	}
	// An upload whose answer was lost on the way may have been committed: then it is whole, like any other.
	expected, bytesStored := map[string]bool{}, int64(0)
	for _, a := range allAssets(t, c) {
		a = c.Await(a.ID, recovery, rig.Ready)
		require.Equal(t, "available", a.State)
		expected[storage.BlobKey(c.TenantID, a.SHA256)] = true
		bytesStored += a.Size
		for _, v := range a.Media.Variants {
			raw, err := c.Bytes("/api/v1/assets/" + a.ID + "/variants/" + v.Preset)
			require.NoError(t, err)
			sum := sha256.Sum256(raw)
			tag := storage.VariantTag(hex.EncodeToString(sum[:]))
			expected[storage.VariantKey(c.TenantID, a.SHA256, v.Preset, tag, "webp")] = true
			bytesStored += v.Size
		}
	}
	// The reservations of a killed gateway live until they expire, its orphans for their grace time.
	require.Eventually(t, func() bool {
		r.Worker("reconcile", "--once")
		u := usage(t, c)
		return u.Used == bytesStored && u.Reserved == 0
	}, recovery, 2*time.Second, "the ledger is exact")
	time.Sleep(1100 * time.Millisecond) // the grace time of the youngest object
	r.Worker("reconcile", "--once")
	require.Empty(t, objects(t, r, "QUARANTINE", c.TenantID), "nothing is left in quarantine")
	clean := objects(t, r, "CLEAN", c.TenantID)
	for _, key := range clean {
		require.True(t, expected[key], "an orphan is left: %s", key)
	}
	require.Len(t, clean, len(expected), "every object is there")
}

func allAssets(t *testing.T, c *rig.Client) []rig.Asset {
	t.Helper()
	var all []rig.Asset
	for cursor := ""; ; {
		var page struct {
			Items      []rig.Asset `json:"items"`
			NextCursor string      `json:"next_cursor"`
		}
		require.NoError(t, c.Get("/api/v1/assets?limit=100&cursor="+url.QueryEscape(cursor), &page))
		all = append(all, page.Items...)
		if cursor = page.NextCursor; cursor == "" {
			return all
		}
	}
}

// objects lists a tenant's keys in a zone, past Gatehouse.
func objects(t *testing.T, r *rig.Rig, zone, tenantID string) []string {
	t.Helper()
	client, err := minio.New(r.Env["GATEHOUSE_STORE_S3_ENDPOINT"], &minio.Options{
		Creds: credentials.NewStaticV4(r.Env["GATEHOUSE_STORE_S3_ACCESS_KEY"], r.Env["GATEHOUSE_STORE_S3_SECRET_KEY"], ""),
	})
	require.NoError(t, err)
	var keys []string
	for o := range client.ListObjects(context.Background(), r.Env["GATEHOUSE_STORE_S3_"+zone+"_BUCKET"],
		minio.ListObjectsOptions{Prefix: tenantID + "/", Recursive: true}) {
		require.NoError(t, o.Err)
		keys = append(keys, o.Key)
	}
	slices.Sort(keys)
	return keys
}

// TestGatewayKilledMidUploadLeavesNothing kills the gateway while it has half of several bodies.
func TestGatewayKilledMidUploadLeavesNothing(t *testing.T) {
	r := rig.Distributed(t, rig.Options{Env: map[string]string{
		"GATEHOUSE_RETENTION_ORPHAN_GRACE": "1s", "GATEHOUSE_QUOTA_RESERVATION_TTL": "10s", "GATEHOUSE_RECONCILE_BRAKE_MIN": "100000",
		"GATEHOUSE_RECONCILE_BRAKE_TENANT_MIN": "100000",
	}})
	c := r.Tenant("acme", "pro")
	const size = 4 << 20
	started := make(chan struct{}, 8)
	hold := make(chan struct{})
	var wg sync.WaitGroup
	for range 8 {
		half := bytes.NewReader(text(t, size/2))
		wg.Go(func() {
			body := io.MultiReader(half, &blocking{started: started, hold: hold})
			if _, err := c.UploadFrom("long.txt", size, body); err == nil {
				t.Error("half an upload was acknowledged")
			}
		})
	}
	for range 8 {
		<-started
	}
	require.Eventually(t, func() bool { return usage(t, c).Reserved == 8*size }, patience, 50*time.Millisecond, "all eight have their quota")
	r.Gateways[0].Kill()
	close(hold)
	wg.Wait()
	http.DefaultClient.CloseIdleConnections()
	r.Gateways[0].Start()
	r.WaitReady(0)

	require.Empty(t, allAssets(t, c))
	require.Empty(t, objects(t, r, "QUARANTINE", c.TenantID))
	require.Eventually(t, func() bool {
		r.Worker("reconcile", "--once")
		return usage(t, c) == usageView{Quota: usage(t, c).Quota}
	}, recovery, time.Second, "the reservations of the dead run out")
}

// blocking is the half of a body that never comes.
type blocking struct {
	once    sync.Once
	started chan<- struct{}
	hold    <-chan struct{}
}

func (b *blocking) Read([]byte) (int, error) {
	b.once.Do(func() { b.started <- struct{}{} })
	<-b.hold
	return 0, io.ErrUnexpectedEOF
}
