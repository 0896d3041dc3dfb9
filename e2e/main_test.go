package e2e

import (
	"os"
	"testing"

	"gatehouse/e2e/rig"
)

func TestMain(m *testing.M) {
	code := m.Run()
	rig.Clean()
	os.Exit(code)
}

// eachMode runs a test in embedded and in distributed mode.
func eachMode(t *testing.T, o rig.Options, test func(t *testing.T, r *rig.Rig)) {
	t.Run("embedded", func(t *testing.T) { test(t, rig.Embedded(t, o)) })
	t.Run("distributed", func(t *testing.T) { test(t, rig.Distributed(t, o)) })
}
