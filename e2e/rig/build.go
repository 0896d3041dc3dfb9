package rig

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// program is one of the two programs, built once a test binary when it is first needed.
type program struct {
	name, cgo string
	once      sync.Once
	path      string
	err       error
}

var (
	gatewayProgram = &program{name: "gateway", cgo: "0"}
	workerProgram  = &program{name: "worker", cgo: "1"}
)

// built returns the path of the program, built from the tree the test stands in, with the settings of `make build`.
func (p *program) built(t testing.TB) string {
	t.Helper()
	p.once.Do(func() {
		dir, err := os.MkdirTemp("", "gatehouse-e2e-")
		if err != nil {
			p.err = err
			return
		}
		p.path = filepath.Join(dir, p.name)
		cmd := exec.Command("go", "build", "-o", p.path, "gatehouse/"+p.name)
		cmd.Env = append(os.Environ(), "CGO_ENABLED="+p.cgo)
		if out, err := cmd.CombinedOutput(); err != nil {
			p.err = fmt.Errorf("build %s: %w\n%s", p.name, err, out)
		}
	})
	if p.err != nil {
		t.Fatal(p.err)
	}
	return p.path
}

// Clean removes what was built; call it at the end of TestMain.
func Clean() {
	for _, p := range []*program{gatewayProgram, workerProgram} {
		if p.path != "" {
			_ = os.RemoveAll(filepath.Dir(p.path))
		}
	}
}
