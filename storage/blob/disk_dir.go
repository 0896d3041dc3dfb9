package blob

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// tempFolder begins with a dot, so no key can name it.
	tempFolder = ".tmp"
	// tempAge is when a temporary file counts as left behind by a killed process. A live one is written to all the
	// time: what is put has been received before.
	tempAge = time.Hour
	// knownFolders bounds the memory of folders: some ten megabytes.
	knownFolders = 1 << 16
)

// tempName is unique across processes: 26 characters, 130 random bits.
func tempName() string { return tempFolder + "/" + rand.Text() }

// place lets make create a temporary file and renames it to key, so that the object is whole, durable and there,
// or nothing is left.
func (d *disk) place(key string, make func(temp string) error) (err error) {
	folder := path.Dir(key)
	if err := d.folders.ensure(folder); err != nil {
		return err
	}
	temp := tempName()
	// Also after success: rename does nothing when both names are links to the same file.
	defer func() {
		if rerr := d.root.Remove(temp); err == nil && rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
			err = diskError(rerr)
		}
	}()
	if err := make(temp); err != nil {
		return err
	}
	err = d.root.Rename(temp, key)
	if errors.Is(err, fs.ErrNotExist) { // somebody cleared the folder away by hand
		d.folders.forget()
		if err := d.folders.ensure(folder); err != nil {
			return err
		}
		err = d.root.Rename(temp, key)
	}
	if err != nil {
		return placeError(err)
	}
	return syncFolder(d.root, folder)
}

// placeError keeps a failed put from looking like a missing object.
func placeError(err error) error {
	switch {
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EISDIR), errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%w: it is a folder of another key, or the other way round (%w)", ErrKey, err)
	case errors.Is(err, fs.ErrNotExist):
		// The cause as text only: wrapped, it would still look like a missing object.
		return fmt.Errorf("%w: a folder of the store is gone (%s)", ErrUnavailable, err.Error())
	}
	return diskError(err)
}

// buffers for writing: the size at which fewer system calls stop paying.
var buffers = sync.Pool{New: func() any { return new([128 << 10]byte) }}

// transfer copies until the body's end, looking at ctx between reads.
func transfer(ctx context.Context, f *os.File, body io.Reader) error {
	buf := buffers.Get().(*[128 << 10]byte)
	defer buffers.Put(buf)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := body.Read(buf[:])
		if n > 0 {
			if _, err := f.Write(buf[:n]); err != nil {
				return diskError(err)
			}
		}
		if err == io.EOF {
			return ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("read what is put: %w", err)
		}
	}
}

// folders makes folders durable and remembers which ones are. A folder counts only when this process has synced
// the folders above it: that another process made it does not mean that it survives a crash.
type folders struct {
	root  *os.Root
	mu    sync.Mutex
	known map[string]struct{}
}

func newFolders(root *os.Root) *folders {
	return &folders{root: root, known: make(map[string]struct{})}
}

func (f *folders) ensure(folder string) error {
	f.mu.Lock()
	_, ok := f.known[folder]
	f.mu.Unlock()
	if ok || folder == "." {
		return nil
	}
	if err := f.root.MkdirAll(folder, folderMode); err != nil {
		return placeError(err)
	}
	for above := path.Dir(folder); ; above = path.Dir(above) {
		if err := syncFolder(f.root, above); err != nil {
			return err
		}
		if above == "." {
			break
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.known) >= knownFolders {
		clear(f.known)
	}
	f.known[folder] = struct{}{}
	return nil
}

func (f *folders) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.known)
}

// syncFolder makes the names in a folder durable.
func syncFolder(root *os.Root, folder string) error {
	f, err := root.Open(folder)
	if err != nil {
		return diskError(err)
	}
	if err := f.Sync(); err != nil {
		return errors.Join(fmt.Errorf("sync folder: %w", diskError(err)), f.Close())
	}
	return diskError(f.Close())
}

// sweepTemp removes temporary files last written before the given time.
func sweepTemp(root *os.Root, before time.Time) error {
	temps, err := root.Open(tempFolder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nothing is left behind; the next put says what is wrong
	}
	if err != nil {
		return diskError(err)
	}
	names, err := temps.Readdirnames(-1)
	if err = errors.Join(err, temps.Close()); err != nil {
		return diskError(err)
	}
	for _, name := range names {
		name = tempFolder + "/" + strings.TrimSuffix(name, "/")
		fi, err := root.Lstat(name)
		if err == nil && fi.ModTime().Before(before) {
			err = root.RemoveAll(name)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // gone: another process sweeps too, or its put ended
			return fmt.Errorf("sweep temporary files: %w", diskError(err))
		}
	}
	return nil
}
