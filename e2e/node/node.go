// Package node runs the scripts of e2e/testdata/updater in Node, with the packages that scripts/install.sh put beside them: the
// programs that clients of releases are made of.
package node

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// patience is for the slowest script on a machine that is busy with other tests.
const patience = 5 * time.Minute

// Run gives a script JSON and reads the JSON that it prints. A script that fails, or cannot be run, fails the test.
func Run(t testing.TB, script string, in, out any) {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	home := filepath.Join(filepath.Dir(here), "..", "testdata", "updater")
	if _, err := os.Stat(filepath.Join(home, "node_modules", ".gatehouse-lock")); err != nil {
		t.Fatalf("The update client is not installed: %v. Run: scripts/install.sh test", err)
	}
	raw, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", filepath.Join(home, script))
	var printed, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(raw), &printed, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("node %s: %v\n%s", script, err, errs.Bytes())
	}
	if err := json.Unmarshal(printed.Bytes(), out); err != nil {
		t.Fatalf("node %s did not print what was expected: %v\n%.2000s\n%s", script, err, printed.Bytes(), errs.Bytes())
	}
}
