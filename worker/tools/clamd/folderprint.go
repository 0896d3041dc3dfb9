package clamd

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// FolderFingerprint names a clamd's database by the names and contents of the files in its folder: for a clamd
// with local signatures only, whose VERSION names nothing (Config.Fingerprint). The files are read again only
// when their names, sizes or times change.
//
// It tells what lies in the folder, not what clamd has loaded: for the seconds between a new file and clamd's
// reload the two differ.
func FolderFingerprint(folder string) func(context.Context) (string, error) {
	var mu sync.Mutex
	var seen, print string
	return func(context.Context) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		listing, err := list(folder)
		if err != nil {
			return "", fmt.Errorf("fingerprint the signature database: %w", err)
		}
		if listing == "" {
			return "", fmt.Errorf("fingerprint the signature database: %s is empty", folder)
		}
		if listing != seen {
			digest, err := digestFolder(folder)
			if err != nil {
				return "", err
			}
			seen, print = listing, "folder:"+digest
		}
		return print, nil
	}
}

// fingerprint names a database that clamd's VERSION does not. For it to be true of what clamd has loaded,
// clamd must be started after it and must not reload by itself (SelfCheck 0).
func (db database) fingerprint() (string, error) {
	digest, err := digestFolder(db.folder)
	if err != nil {
		return "", err
	}
	if db.testOnly {
		return TestSignaturesPrefix + digest, nil
	}
	return "folder:" + digest, nil
}

func digestFolder(folder string) (string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return "", fmt.Errorf("fingerprint the signature database: %w", err)
	}
	all := sha256.New()
	for _, e := range entries {
		if !isSignatureFile(e.Name(), e.Type()) {
			continue
		}
		one, err := digestFile(filepath.Join(folder, e.Name()))
		if err != nil {
			return "", fmt.Errorf("fingerprint the signature database: %w", err)
		}
		all.Write(fmt.Appendf(nil, "%q %x\n", e.Name(), one))
	}
	// 128 bits tell databases apart and still fit on a line.
	return hex.EncodeToString(all.Sum(nil)[:16]), nil
}

func digestFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	_, err = io.Copy(sum, f)
	return sum.Sum(nil), errors.Join(err, f.Close())
}
