package clamd

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// systemDatabases is where Debian's freshclam keeps the official signatures.
const systemDatabases = "/var/lib/clamav"

// testSignatures finds EICAR at the start of a file or archive member, as the official database does, and the
// words "GATEHOUSE-TEST-SIGNATURE" anywhere. In hexadecimal, so that no scanner minds this program.
//
//go:embed signatures/gatehouse-test.ndb
var testSignatures []byte

// database is the signature folder that one run of clamd loads.
type database struct {
	folder string
	// named is true when clamd's VERSION will name it, because it holds the official "daily" database.
	named bool
	// testOnly is true for the bundled test signatures.
	testOnly bool
	// listing is what the folder looked like: names, sizes and times. It tells when to load again.
	listing string
}

// chooseDatabase takes the machine's folder when it holds an official database, else the bundled one.
func chooseDatabase(machine, bundled string) (database, error) {
	listing, err := list(machine)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return database{}, fmt.Errorf("look for a signature database: %w", err)
	}
	// cvd: as published; cld: updated in place by freshclam; cud: a site's own, made with sigtool.
	for _, ending := range []string{".cvd ", ".cld ", ".cud "} {
		if strings.Contains(listing, ending) {
			named := strings.Contains("\n"+listing, "\ndaily.c")
			return database{folder: machine, named: named, listing: listing}, nil
		}
	}
	return database{folder: bundled, testOnly: true}, nil
}

// writeTestSignatures fills the bundled folder.
func writeTestSignatures(bundled string) error {
	err := os.MkdirAll(bundled, 0o755)
	if err == nil {
		err = os.Chmod(bundled, 0o755)
	}
	if err == nil {
		err = writeFor(filepath.Join(bundled, "gatehouse-test.ndb"), testSignatures)
	}
	if err != nil {
		return fmt.Errorf("write the test signatures: %w", err)
	}
	return nil
}

// writeFor writes a file that clamd's user can read, whatever the worker's umask is.
func writeFor(path string, content []byte) error {
	if err := os.WriteFile(path, content, 0o644); err != nil {
		return err
	}
	return os.Chmod(path, 0o644)
}

// list describes the database files of a folder, one line each.
func list(folder string) (string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // replaced while we look; the next look sees its successor
		}
		if err != nil {
			return "", err
		}
		if isSignatureFile(e.Name(), info.Mode()) {
			fmt.Fprintf(&b, "%s %d %d\n", e.Name(), info.Size(), info.ModTime().UnixNano())
		}
	}
	return b.String(), nil
}

// isSignatureFile leaves out what freshclam keeps beside its databases: its own state and downloads in progress.
func isSignatureFile(name string, mode fs.FileMode) bool {
	return mode.IsRegular() && !strings.HasPrefix(name, ".") && filepath.Ext(name) != ".dat"
}
