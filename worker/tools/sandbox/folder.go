package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// settled is the age from which a folder without a lock is surely abandoned: making one and locking it are two steps.
const settled = time.Minute

// Folder is a private folder for the files of one child. It is locked as long as this process lives, which tells
// it from what a killed worker left behind.
type Folder struct {
	Path string
	lock *os.File
}

// NewFolder makes a folder in dir that nobody else may enter.
func NewFolder(dir, prefix string) (*Folder, error) {
	path, err := os.MkdirTemp(dir, prefix)
	if err != nil {
		return nil, err
	}
	f := &Folder{Path: path}
	if f.lock, err = lockFolder(path); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), os.Remove(path))
	}
	return f, nil
}

// Create makes an empty file for a child to write; it belongs to the caller, who closes it.
func (f *Folder) Create(name string) (*os.File, error) {
	return os.OpenFile(filepath.Join(f.Path, name), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
}

// Remove removes the folder and all in it. Open files live on without their names.
func (f *Folder) Remove() error {
	return errors.Join(os.RemoveAll(f.Path), f.lock.Close())
}

// RemoveLeftovers removes the folders in dir that killed workers left behind, a minute and more ago. It costs a look
// into dir when there are none, and may be called while others work there.
func RemoveLeftovers(dir, prefix string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), prefix) {
			continue
		}
		if info, err := e.Info(); err != nil || time.Since(info.ModTime()) < settled {
			continue
		}
		path := filepath.Join(dir, e.Name())
		lock, err := lockFolder(path)
		if err != nil {
			continue // in use, or gone by now
		}
		errs = append(errs, os.RemoveAll(path), lock.Close())
	}
	return errors.Join(errs...)
}

func lockFolder(path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
