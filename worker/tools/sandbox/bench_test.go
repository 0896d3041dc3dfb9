package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What the walls cost: each pair differs by them alone. The second pair has Go's start in it too, which a program
// without a sandbox does not need.
func BenchmarkChild(b *testing.B) {
	program := installed(b, "true")
	r := plenty()
	r.Exec = []string{program}
	sandboxed := func(name string) func(b *testing.B) {
		return func(b *testing.B) {
			for b.Loop() {
				require.NoError(b, start(b, r, Program{Name: name, Env: []string{"ALONE=1"}}).Wait())
			}
		}
	}
	plain := func(name string, args ...string) func(b *testing.B) {
		return func(b *testing.B) {
			for b.Loop() {
				require.NoError(b, exec.CommandContext(context.Background(), name, args...).Run())
			}
		}
	}
	// Where the time of a child that does nothing goes.
	b.Run("self/parts", func(b *testing.B) {
		var parts [3]time.Duration
		for b.Loop() {
			var out bytes.Buffer
			started := time.Now()
			require.NoError(b, start(b, r, Program{Name: "clock", Stdout: &out, Env: []string{"ALONE=1"}}).Wait())
			ended := time.Now()
			var at [2]int64
			require.NoError(b, json.Unmarshal(out.Bytes(), &at))
			main, program := time.Unix(0, at[0]), time.Unix(0, at[1])
			for i, part := range []time.Duration{main.Sub(started), program.Sub(main), ended.Sub(program)} {
				parts[i] += part
			}
		}
		for i, name := range []string{"ms-to-main", "ms-walls", "ms-end"} {
			b.ReportMetric(parts[i].Seconds()*1000/float64(b.N), name)
		}
	})
	b.Run("self/plain", plain("/proc/self/exe", bare))
	b.Run("self/sandboxed", sandboxed("nothing"))
	b.Run("program/plain", plain(program))
	b.Run("program/sandboxed", sandboxed(program))
}
