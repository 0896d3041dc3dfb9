package jobs_test

import (
	"cmp"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/worker/mediatest"
)

// mutants is how many changed files of each format the corpus tests take. make corpus takes 500; the numbers that
// they are made from are fixed, so that each finding can be had again.
func mutants(t testing.TB) int {
	t.Helper()
	n, err := strconv.Atoi(cmp.Or(os.Getenv("GATEHOUSE_MUTANTS"), "12"))
	require.NoError(t, err)
	return n
}

// Every mutant of each format goes through the image job: no worker dies, no task is stuck, and nobody else suffers.
func TestCorpusOfPictures(t *testing.T) {
	b := attackBench(t)
	t.Run("neighbour", func(t *testing.T) {
		t.Parallel()
		b := b.ofTenant(t)
		for i := range mutants(t) {
			f := mediatest.JPEG(t, 96+i, 64, 1+i%8)
			digest := b.clean(t, f.Bytes, 0, 0, 0)
			require.NoError(t, b.attempt(t, storage.TaskImage, digest), "a good picture between all the others")
			if i%10 == 0 {
				b.checkVariant(t, f, b.deps.Presets[0], b.variants(t, digest))
			}
		}
	})
	for _, s := range mediatest.PictureSeeds(t) {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			b := b.ofTenant(t)
			outcomes := map[string]int{}
			for _, mutant := range mediatest.Mutants(s.Bytes, mutants(t), 1) {
				outcomes[outcome(b.hostile(t, s.Name, mutant, 0, 0, 0))]++
			}
			t.Log(outcomes)
			require.Positive(t, outcomes[storage.ReasonPictureDamaged.Slug])
			b.requireHealthy(t)
			b.requireExactLedger(t)
		})
	}
}

func outcome(b meta.Blob) string {
	if b.MediaReason != "" {
		return b.MediaReason
	}
	return string(b.MediaStatus)
}
