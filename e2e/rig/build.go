package rig

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// Programs are the paths of the two built programs.
type Programs struct{ Gateway, Worker string }

var build struct {
	once sync.Once
	dir  string
	err  error
}

// Build builds both programs once a test binary, from the tree the test stands in, with the flags of `make build`.
func Build(t testing.TB) Programs {
	t.Helper()
	build.once.Do(func() {
		if build.dir, build.err = os.MkdirTemp("", "gatehouse-e2e-"); build.err != nil {
			return
		}
		for _, p := range []struct{ name, cgo string }{{"gateway", "0"}, {"worker", "1"}} {
			cmd := exec.Command("go", "build", "-o", filepath.Join(build.dir, p.name), "gatehouse/"+p.name)
			cmd.Env = append(os.Environ(), "CGO_ENABLED="+p.cgo)
			if out, err := cmd.CombinedOutput(); err != nil {
				build.err = fmt.Errorf("build %s: %w\n%s", p.name, err, out)
				return
			}
		}
	})
	if build.err != nil {
		t.Fatal(build.err)
	}
	return Programs{Gateway: filepath.Join(build.dir, "gateway"), Worker: filepath.Join(build.dir, "worker")}
}

// Clean removes what Build built; call it at the end of TestMain.
func Clean() {
	if build.dir != "" {
		_ = os.RemoveAll(build.dir)
	}
}
