package release_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"gatehouse/e2e/node"
	"gatehouse/storage/release"
)

// someDevices are random ones, and for each percentage those on both sides of its edge.
func someDevices() []string {
	r := rand.New(rand.NewPCG(7, 9)) // always the same ones
	one := func(last uint32) string {
		var id uuid.UUID
		binary.BigEndian.PutUint64(id[:8], r.Uint64())
		binary.BigEndian.PutUint32(id[8:12], r.Uint32())
		binary.BigEndian.PutUint32(id[12:], last)
		return id.String()
	}
	out := []string{uuid.Nil.String(), uuid.Max.String(), one(0), one(math.MaxUint32)}
	for p := range 101 {
		edge := int64(math.MaxUint32) * int64(p) / 100
		for d := int64(-3); d <= 3; d++ {
			if last := edge + d; last >= 0 && last <= math.MaxUint32 {
				out = append(out, one(uint32(last)))
			}
		}
	}
	for range 3000 {
		out = append(out, one(r.Uint32()))
	}
	return out
}

// TestStagesAreThoseOfElectronUpdater calls electron-updater's own method for each device and each percentage below 100. At 100 a
// feed has no percentage, and everybody is in it.
func TestStagesAreThoseOfElectronUpdater(t *testing.T) {
	devices := someDevices()
	percentages := make([]int, 100)
	for p := range percentages {
		percentages[p] = p
	}
	var says []string
	node.Run(t, "stage.mjs", map[string]any{"devices": devices, "percentages": percentages}, &says)
	for i, d := range devices {
		for p := range percentages {
			want := says[i][p] == '1'
			if release.InStage(d, p) != want || release.InStage(strings.ToUpper(d), p) != want {
				t.Fatalf("%s at %d %%: electron-updater says %t", d, p, want)
			}
		}
		require.True(t, release.InStage(d, 100))
	}
}
