package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"gatehouse/storage"
)

// disk is a zone in a folder. Every name goes through os.Root after CheckKey: two locks on the same door, so that
// neither a key nor a symbolic link leads out of the zone.
//
//	<root>/quarantine/.tmp/<random>            being written; never listed
//	<root>/quarantine/<tenant>/<hh>/<sha256>   an object, mode 0600, folders 0700
//	<root>/clean/...                           the same
//	<root>/snapshots/<snapshot>/<part>         the same
//	<root>/audit/checkpoints/<chain>/<place>   the same
//
// Delete leaves empty folders behind, on purpose: a tenant has 257 at most, every upload through quarantine would
// make and sync them anew, and a folder that never goes away is what makes it sound to remember which ones are
// durable (folders in disk_dir.go), also while other processes put.
type disk struct {
	zone    string   // the folder of the zone inside store
	store   *os.Root // the folder above all zones, shared by them: links between them need it
	root    *os.Root // the zone itself
	folders *folders
}

const (
	fileMode   fs.FileMode = 0o600
	folderMode fs.FileMode = 0o700
)

func openDisk(c Config) (*Zones, error) {
	if c.Root == "" {
		return nil, errors.New("blob: the disk driver needs a root folder")
	}
	dir, err := filepath.Abs(c.Root)
	if err != nil {
		return nil, fmt.Errorf("blob: root folder: %w", err)
	}
	if c.Existing {
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w: the folder %s does not exist", ErrNoStore, c.Root)
		}
	} else if err := os.MkdirAll(dir, folderMode); err != nil {
		return nil, fmt.Errorf("blob: make root folder: %w", err)
	}
	store, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("blob: open root folder: %w", err)
	}
	quarantine := &disk{zone: string(storage.ZoneQuarantine), store: store}
	clean := &disk{zone: string(storage.ZoneClean), store: store}
	snapshots := &disk{zone: snapshotZone, store: store}
	audit := &disk{zone: auditZone, store: store}
	zones := &Zones{Quarantine: quarantine, Clean: clean, Snapshots: snapshots, Audit: audit}
	if err := errors.Join(quarantine.prepare(), clean.prepare(), snapshots.prepare(), audit.prepare()); err != nil {
		return nil, errors.Join(fmt.Errorf("blob: open zones: %w", err), zones.Close())
	}
	return zones, nil
}

func (d *disk) prepare() error {
	if err := d.store.MkdirAll(path.Join(d.zone, tempFolder), folderMode); err != nil {
		return err
	}
	var err error
	if d.root, err = d.store.OpenRoot(d.zone); err != nil {
		return err
	}
	d.folders = newFolders(d.root)
	if err := errors.Join(syncFolder(d.root, "."), syncFolder(d.store, ".")); err != nil {
		return err
	}
	return sweepTemp(d.root, time.Now().Add(-tempAge))
}

// Put writes to a temporary file of the same file system and renames it into place.
func (d *disk) Put(ctx context.Context, key string, r io.Reader, size int64, _ PutOptions) error {
	if err := CheckKey(key); err != nil {
		return opError("put", key, err)
	}
	src, err := newSource(r, size)
	if err != nil {
		return opError("put", key, err)
	}
	return opError("put", key, d.place(key, func(temp string) error { return d.write(ctx, temp, src) }))
}

// write makes the temporary file and its bytes durable. A file is opened anew for each try of place.
func (d *disk) write(ctx context.Context, temp string, src *source) (err error) {
	body, err := src.attempt(ctx)
	if err != nil {
		return err
	}
	f, err := d.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return placeError(err)
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = diskError(cerr)
		}
	}()
	if err := transfer(ctx, f, body); err != nil {
		return err
	}
	return diskError(f.Sync())
}

// Open opens without following a link in the last segment, and refuses whatever is no regular file.
func (d *disk) Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, Info, error) {
	body, info, err := d.open(ctx, key, offset, length)
	if err != nil {
		return nil, Info{}, opError("open", key, err)
	}
	return body, info, nil
}

func (d *disk) open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, Info, error) {
	if err := errors.Join(CheckKey(key), ctx.Err()); err != nil {
		return nil, Info{}, err
	}
	if _, err := d.stat(key); err != nil { // before open: opening a planted FIFO would block
		return nil, Info{}, err
	}
	f, err := d.root.Open(key)
	if err != nil {
		return nil, Info{}, diskError(err)
	}
	fi, err := f.Stat()
	if err != nil {
		return nil, Info{}, errors.Join(diskError(err), f.Close())
	}
	n, err := cutRange(fi.Size(), offset, length)
	if err != nil {
		return nil, Info{}, errors.Join(err, f.Close())
	}
	info := Info{Key: key, Size: fi.Size(), ModTime: fi.ModTime()}
	if offset == 0 && length < 0 {
		return f, info, nil
	}
	return section{io.NewSectionReader(f, offset, n), f}, info, nil
}

// section is a part of an open file.
type section struct {
	*io.SectionReader
	io.Closer
}

// cutRange returns how many bytes of an object a range covers.
func cutRange(size, offset, length int64) (int64, error) {
	if offset < 0 || length < -1 || offset > size || (offset == size && offset > 0) {
		return 0, fmt.Errorf("%w: offset %d, length %d of %d bytes", ErrRange, offset, length, size)
	}
	if length < 0 || length > size-offset {
		return size - offset, nil
	}
	return length, nil
}

// Stat describes an object.
func (d *disk) Stat(ctx context.Context, key string) (Info, error) {
	if err := errors.Join(CheckKey(key), ctx.Err()); err != nil {
		return Info{}, opError("stat", key, err)
	}
	info, err := d.stat(key)
	return info, opError("stat", key, err)
}

// stat takes only regular files for objects: folders, links and devices are not there.
func (d *disk) stat(key string) (Info, error) {
	fi, err := d.root.Lstat(key)
	if err != nil {
		return Info{}, diskError(err)
	}
	if !fi.Mode().IsRegular() {
		return Info{}, ErrNotExist
	}
	return Info{Key: key, Size: fi.Size(), ModTime: fi.ModTime()}, nil
}

// Delete removes the name; the folder stays (see disk).
func (d *disk) Delete(ctx context.Context, key string) error {
	if err := errors.Join(CheckKey(key), ctx.Err()); err != nil {
		return opError("delete", key, err)
	}
	if _, err := d.stat(key); errors.Is(err, ErrNotExist) {
		return nil
	} else if err != nil {
		return opError("delete", key, err)
	}
	if err := d.root.Remove(key); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return opError("delete", key, diskError(err))
	}
	return opError("delete", key, syncFolder(d.root, path.Dir(key)))
}

// Ready writes, syncs and removes a small file.
func (d *disk) Ready(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	src, err := newSource(strings.NewReader("ready"), 5)
	if err != nil {
		return err
	}
	temp := tempName()
	if err := d.write(ctx, temp, src); err != nil {
		return fmt.Errorf("ready: %w", err)
	}
	if err := d.root.Remove(temp); err != nil {
		return fmt.Errorf("ready: %w", diskError(err))
	}
	return nil
}

// Close releases the folders; open objects stay readable.
func (d *disk) Close() error {
	err := d.store.Close() // closed by every zone: only the first time does anything
	if d.root != nil {
		err = errors.Join(err, d.root.Close())
	}
	return err
}

// diskError sorts what a file system says into the errors of this package.
func diskError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%w (%w)", ErrNotExist, err)
	}
	for _, e := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EIO, syscall.EROFS, syscall.ESTALE,
		syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EBUSY, syscall.ETIMEDOUT} {
		if errors.Is(err, e) {
			return fmt.Errorf("%w (%w)", ErrUnavailable, err)
		}
	}
	return err
}
