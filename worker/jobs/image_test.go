package jobs_test

import (
	"bytes"
	"context"
	"encoding/json"
	stdimage "image"
	"image/color"
	"image/jpeg"
	"io"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/image/webp"

	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/worker/jobs"
	"gatehouse/worker/tools/sandbox"
	"gatehouse/worker/tools/vips"
)

// The test program is also its own children, which decode.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == sandbox.ChildCommand {
		os.Exit(sandbox.Main(os.Args[2:], map[string]func([]string) int{"vips": vips.ChildMain}))
	}
	os.Exit(m.Run())
}

var presets = []vips.Preset{
	{Name: "w2000", LongEdge: 2000, Quality: 85, Effort: 2}, {Name: "w320", LongEdge: 320, Quality: 85, Effort: 2},
	{Name: "w640", LongEdge: 640, Quality: 85, Effort: 2},
}

func (b *bench) withPictures(t testing.TB) *bench {
	runner, err := vips.NewRunner(vips.Config{TempDir: t.TempDir(), Concurrency: 1, Threads: 1, Require: true})
	require.NoError(t, err)
	t.Cleanup(runner.Close)
	b.deps.Pictures, b.deps.Presets, b.deps.ImageTimeout = runner, presets, time.Minute
	return b
}

// photo is a JPEG of 800 x 600; seed makes each another file.
func photo(t testing.TB, seed uint8) []byte {
	t.Helper()
	m := stdimage.NewRGBA(stdimage.Rect(0, 0, 800, 600))
	for y := range 600 {
		for x := range 800 {
			m.Set(x, y, color.RGBA{uint8(x / 4), uint8(y / 3), seed, 255})
		}
	}
	var out bytes.Buffer
	require.NoError(t, jpeg.Encode(&out, m, nil))
	return out.Bytes()
}

// cleanPicture uploads a picture and scans it.
func (b *bench) cleanPicture(t testing.TB, content []byte) (asset, digest string) {
	t.Helper()
	asset, digest = b.upload(t, content, storage.CategoryImage)
	require.NoError(t, b.attempt(t, storage.TaskScan, digest))
	return asset, digest
}

func (b *bench) variants(t testing.TB, digest string) []meta.Variant {
	t.Helper()
	list, err := b.db.Tenant(context.Background(), b.tenant).Variants(digest)
	require.NoError(t, err)
	return list
}

func TestPictureGetsItsVariantsSmallestFirst(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		b.withPictures(t)
		asset, digest := b.cleanPicture(t, photo(t, 1))
		require.NoError(t, b.attempt(t, storage.TaskImage, digest))

		row := b.blob(t, digest)
		require.Equal(t, storage.MediaDone, row.MediaStatus)
		require.InDelta(t, 1, row.MediaProgress, 0)
		require.Equal(t, [2]int64{800, 600}, [2]int64{row.Width, row.Height})
		require.Len(t, row.DominantColor, len("#rrggbb"))
		require.NotEmpty(t, row.ThumbHash)
		sizes := map[string][2]int64{"w320": {320, 240}, "w640": {640, 480}, "w2000": {800, 600}}
		list := b.variants(t, digest)
		require.Len(t, list, 3)
		for _, v := range list {
			require.Equal(t, sizes[v.Preset], [2]int64{v.Width, v.Height}, v.Preset)
			content := b.read(t, storage.ZoneClean, v.Key())
			require.EqualValues(t, len(content), v.Size)
			require.Equal(t, digestOf(content), v.Digest)
			config, err := webp.DecodeConfig(bytes.NewReader(content))
			require.NoError(t, err)
			require.EqualValues(t, v.Width, config.Width)
		}
		b.requireExactLedger(t)

		events, err := b.db.Tenant(context.Background(), b.tenant).Events(asset, 0, 100)
		require.NoError(t, err)
		var told []string
		for _, e := range events {
			var data struct{ Preset, Status string }
			require.NoError(t, json.Unmarshal([]byte(e.Data), &data))
			told = append(told, string(e.Kind)+" "+data.Preset+data.Status)
		}
		require.Equal(t, []string{
			"scanned ", "media running", "media running", "variant_ready w320", "variant_ready w640", "variant_ready w2000", "media done",
		}, told)
	})
}

// A worker dies at each point of the job; the next one ends it, and nothing is charged twice.
func TestImageJobIsTakenUpFromAnyPoint(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		b.withPictures(t)
		tenant := func() meta.Tenant { return b.db.Tenant(context.Background(), b.tenant) }
		crashes := map[string]func(t *testing.T, digest string){
			"all made, task not ended": func(t *testing.T, digest string) {
				r := b.claim(t, storage.TaskImage, digest)
				_, err := b.job(t, storage.TaskImage).Run(context.Background(), r)
				require.NoError(t, err)
				b.inTx(t, func(tx *meta.Tx) error { return tx.Retry(r.Lease, meta.Now(), "died", false) })
			},
			"an object without its row": func(t *testing.T, digest string) {
				key := storage.VariantKey(b.tenant, digest, "w640", "00112233aabb", "webp")
				require.NoError(t, b.zones.Clean.Put(context.Background(), key, bytes.NewReader([]byte("half")), 4, blob.PutOptions{}))
			},
			"a row without its object": func(t *testing.T, digest string) {
				b.inTx(t, func(tx *meta.Tx) error {
					_, err := tx.Tenant(b.tenant).CreateVariant(&meta.Variant{SHA256: digest, Preset: "w320", Ext: "webp", Size: 99, CreatedAt: meta.Now()})
					require.NoError(t, err)
					return b.ledger.Charge(tx, b.tenant, 99)
				})
			},
			"said that it runs": func(t *testing.T, digest string) {
				row := b.blob(t, digest)
				b.inTx(t, func(tx *meta.Tx) error {
					return tx.Tenant(b.tenant).SetMedia(digest, row.Revision, storage.MediaRunning, 0.3, nil)
				})
			},
		}
		seed := uint8(10)
		for name, crash := range crashes {
			seed++
			t.Run(name, func(t *testing.T) {
				_, digest := b.cleanPicture(t, photo(t, seed))
				crash(t, digest)
				require.NoError(t, b.attempt(t, storage.TaskImage, digest))
				require.Len(t, b.variants(t, digest), 3)
				require.Equal(t, storage.MediaDone, b.blob(t, digest).MediaStatus)
				b.sweepOrphan(t, digest)
				b.requireExactLedger(t)
				q, err := tenant().Quota()
				require.NoError(t, err)
				b.queue(t, storage.TaskImage, digest)
				require.NoError(t, b.attempt(t, storage.TaskImage, digest))
				again, err := tenant().Quota()
				require.NoError(t, err)
				again.At = q.At // when it was read
				require.Equal(t, q, again, "run once more it changes nothing")
			})
		}
	})
}

func TestUndecodablePictureFailsWithASentence(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		b.withPictures(t)
		asset, digest := b.cleanPicture(t, append([]byte{0xff, 0xd8, 0xff}, harmless...))
		require.True(t, jobs.IsPermanent(b.attempt(t, storage.TaskImage, digest)))
		row := b.blob(t, digest)
		require.Equal(t, storage.MediaFailed, row.MediaStatus)
		require.Equal(t, storage.ReasonPictureDamaged.English, row.MediaError)
		require.Equal(t, storage.AssetAvailable, b.stateOf(t, asset), "the original stays readable")
		b.requireExactLedger(t)
	})
}

func TestPictureWithoutRoomForItsVariantsKeepsTheOriginal(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		b.withPictures(t)
		_, digest := b.cleanPicture(t, photo(t, 3))
		b.inTx(t, func(tx *meta.Tx) error {
			_, err := tx.Exec(`UPDATE tenants SET quota_override = used_bytes + 10 WHERE id = ?`, b.tenant)
			return err
		})
		require.True(t, jobs.IsPermanent(b.attempt(t, storage.TaskImage, digest)))
		row := b.blob(t, digest)
		require.Equal(t, storage.MediaFailed, row.MediaStatus)
		require.Contains(t, row.MediaError, "quota")
		require.Empty(t, b.variants(t, digest))
		b.requireExactLedger(t)

		b.inTx(t, func(tx *meta.Tx) error {
			_, err := tx.Exec(`UPDATE tenants SET quota_override = NULL WHERE id = ?`, b.tenant)
			return err
		})
		b.queue(t, storage.TaskImage, digest) // the operator tries again
		require.NoError(t, b.attempt(t, storage.TaskImage, digest))
		require.Equal(t, storage.MediaDone, b.blob(t, digest).MediaStatus)
		b.requireExactLedger(t)
	})
}

func TestImageJobStopsWhenNobodyWantsTheVariants(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		b.withPictures(t)
		asset, digest := b.cleanPicture(t, photo(t, 4))
		b.inTx(t, func(tx *meta.Tx) error { _, err := tx.Tenant(b.tenant).DeleteAsset(asset); return err })
		require.NoError(t, b.attempt(t, storage.TaskImage, digest))
		require.Empty(t, b.variants(t, digest))
		require.Equal(t, storage.MediaPending, b.blob(t, digest).MediaStatus)
		b.requireExactLedger(t)
	})
}

// The life of a tenant's files through all jobs, on the way that a worker takes: at its end nothing is left.
func TestNothingIsLeftAfterEverythingIsDeletedAndSwept(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		b.withPictures(t)
		var assets []string
		for seed := range uint8(3) {
			asset, digest := b.cleanPicture(t, photo(t, 100+seed))
			require.NoError(t, b.attempt(t, storage.TaskImage, digest))
			assets = append(assets, asset)
		}
		bad, digest := b.upload(t, []byte(eicar), storage.CategoryDocument)
		require.NoError(t, b.attempt(t, storage.TaskScan, digest))
		for _, asset := range append(assets, bad) {
			b.inTx(t, func(tx *meta.Tx) error { _, err := tx.Tenant(b.tenant).DeleteAsset(asset); return err })
		}
		b.inTx(t, func(tx *meta.Tx) error {
			_, err := tx.Enqueue(meta.NewTask{Kind: storage.TaskSweep, TenantID: b.tenant, Unique: true})
			return err
		})
		require.NoError(t, b.attempt(t, storage.TaskSweep, ""))
		require.Empty(t, b.objects(t, storage.ZoneClean))
		require.Empty(t, b.objects(t, storage.ZoneQuarantine))
		b.requireExactLedger(t)
		q, err := b.db.Tenant(context.Background(), b.tenant).Quota()
		require.NoError(t, err)
		require.Zero(t, q.Used)
	})
}

// A worker stands still while it puts a variant; its lease runs out, another one makes the same with an encoder of its
// own, and then the first goes on. What the second has published stays as it is.
func TestWorkerThatLostItsTaskOverwritesNothing(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		b.withPictures(t)
		b.deps.Presets = presets[1:2]
		_, digest := b.cleanPicture(t, photo(t, 9))
		clean := b.zones.Clean
		standing := &standingBucket{Bucket: clean}
		standing.meanwhile = func() {
			b.zones.Clean = clean
			b.inTx(t, func(tx *meta.Tx) error {
				_, err := tx.Exec(`UPDATE tasks SET state = 'queued', lease_owner = '', run_at = 0 WHERE subject = ?`, digest)
				return err
			})
			other := *b
			other.deps.Presets = []vips.Preset{{Name: presets[1].Name, LongEdge: presets[1].LongEdge, Quality: 40, Effort: 4}}
			require.NoError(t, other.attempt(t, storage.TaskImage, digest))
		}
		b.zones.Clean = standing
		require.ErrorIs(t, b.attempt(t, storage.TaskImage, digest), meta.ErrLeaseLost)

		list := b.variants(t, digest)
		require.Len(t, list, 1)
		require.Equal(t, list[0].Digest, digestOf(b.read(t, storage.ZoneClean, list[0].Key())))
		require.Len(t, b.objects(t, storage.ZoneClean), 3, "the original, what counts, and an orphan for the sweeper")
		require.Equal(t, storage.MediaDone, b.blob(t, digest).MediaStatus)
	})
}

// standingBucket is a real bucket that lets something happen before its first put.
type standingBucket struct {
	blob.Bucket
	meanwhile func()
}

func (s *standingBucket) Put(ctx context.Context, key string, r io.Reader, size int64, o blob.PutOptions) error {
	if s.meanwhile != nil {
		now := s.meanwhile
		s.meanwhile = nil
		now()
	}
	return s.Bucket.Put(ctx, key, r, size, o)
}
