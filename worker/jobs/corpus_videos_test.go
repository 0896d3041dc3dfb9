package jobs_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/worker/mediatest"
)

// filmMutants is how many changed files of each container are taken. A film costs several times what a picture costs,
// so that fewer are taken when nobody asks for a number.
func filmMutants(t testing.TB) int {
	t.Helper()
	if os.Getenv("GATEHOUSE_MUTANTS") != "" {
		return mutants(t)
	}
	return min(10, mutants(t))
}

// Every mutant of each container goes through the video job: no worker dies, no task is stuck, and nobody else suffers.
func TestCorpusOfVideos(t *testing.T) {
	b := filmAttackBench(t)
	t.Run("neighbour", func(t *testing.T) {
		t.Parallel()
		for range 1 + filmMutants(t)/4 {
			b.requireServed(t)
		}
	})
	for _, s := range mediatest.VideoSeeds(t) {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			b := b.ofFilmTenant(t)
			outcomes := map[string]int{}
			for i, mutant := range mediatest.Mutants(s.Bytes, filmMutants(t), 1) {
				row := b.hostileFilm(t, s.Name, mutant)
				outcomes[outcome(row)]++
				if row.MediaReason == storage.ReasonVideoCrashed.Slug {
					t.Logf("mutant %d of %s crashes the decoder", i, s.Name)
				}
			}
			t.Log(outcomes)
			require.Positive(t, outcomes[storage.ReasonVideoDamaged.Slug])
			require.Positive(t, outcomes[string(storage.MediaDone)], "who changes a lot tests the first check only")
			b.requireExactLedger(t)
		})
	}
}
