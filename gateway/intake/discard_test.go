package intake

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// lateBucket puts the object and says that it could not.
type lateBucket struct{ blob.Bucket }

func (b lateBucket) Put(ctx context.Context, key string, r io.Reader, size int64, o blob.PutOptions) error {
	return errors.Join(b.Bucket.Put(ctx, key, r, size, o), errors.New("the answer was lost"))
}

func TestFailedUploadTakesBackOnlyWhatItBrought(t *testing.T) {
	content := note(700)
	sum := sha256.Sum256(content)
	digest := hex.EncodeToString(sum[:])
	for name, test := range map[string]struct {
		before func(t *testing.T, h house, key string)
		stays  bool
	}{
		"nothing was there": {func(*testing.T, house, string) {}, false},
		"an object whose rows were lost": {func(t *testing.T, h house, key string) {
			require.NoError(t, h.Zones.Quarantine.Put(t.Context(), key, bytes.NewReader(content), int64(len(content)), blob.PutOptions{}))
		}, true},
		"an asset speaks of bytes that are gone": {func(t *testing.T, h house, key string) {
			_, err := h.Receive(t.Context(), h.upload("a.txt", content))
			require.NoError(t, err)
			require.NoError(t, h.DB.InTx(t.Context(), func(tx *meta.Tx) error { _, err := tx.Exec(`DELETE FROM blobs`); return err }))
			require.NoError(t, h.Zones.Quarantine.Delete(t.Context(), key))
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, metatest.SQLite(t), 1<<20)
			key := storage.BlobKey(h.tenant, digest)
			test.before(t, h, key)
			h.Zones.Quarantine = lateBucket{h.Zones.Quarantine}
			_, err := h.Receive(t.Context(), h.upload("b.txt", content))
			require.ErrorContains(t, err, "the answer was lost")
			_, err = h.Zones.Quarantine.Stat(t.Context(), key)
			if test.stays {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, blob.ErrNotExist)
			}
		})
	}
}
