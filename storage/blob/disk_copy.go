package blob

import (
	"context"
	"errors"
	"os"
	"path"
	"syscall"
	"time"
)

// CopyFrom gives the object a second name where the file system has hard links: objects are replaced, never
// written to, so two zones can share one file. Else it copies the bytes.
func (d *disk) CopyFrom(ctx context.Context, from Bucket, fromKey, key string) error {
	src, ok := from.(*disk)
	if !ok || src.store != d.store {
		return opError("copy", fromKey, errOtherStore)
	}
	if err := errors.Join(checkCopy(src == d, fromKey, key), ctx.Err()); err != nil {
		return opError("copy", fromKey, err)
	}
	if _, err := src.stat(fromKey); err != nil {
		return opError("copy", fromKey, err)
	}
	err := d.place(key, func(temp string) error { return d.link(src, fromKey, temp) })
	if linkRefused(err) {
		err = d.copyBytes(ctx, src, fromKey, key)
	}
	return opError("copy", fromKey, err)
}

// link makes temp another name of the source's file, as young as the copy.
func (d *disk) link(src *disk, key, temp string) error {
	// The file is shared, so the source becomes as young; nobody who looks for what is old minds. Before there is a second name, because a
	// temporary file that is old is taken for a leftover.
	now := time.Now()
	if err := d.store.Chtimes(path.Join(src.zone, key), now, now); err != nil {
		return diskError(err)
	}
	if err := d.store.Link(path.Join(src.zone, key), path.Join(d.zone, temp)); err != nil {
		return diskError(err)
	}
	fi, err := d.root.Lstat(temp)
	if err != nil {
		return diskError(err)
	}
	if !fi.Mode().IsRegular() { // swapped for a symbolic link since stat: the link itself was linked
		return ErrNotExist
	}
	f, err := d.root.OpenFile(temp, os.O_RDWR, 0)
	if err != nil {
		return diskError(err)
	}
	return diskError(errors.Join(f.Sync(), f.Close()))
}

// linkRefused: other devices, file systems without hard links, protected_hardlinks, a file with too many names.
func linkRefused(err error) bool {
	for _, e := range []error{syscall.EXDEV, syscall.EPERM, syscall.EMLINK, syscall.ENOTSUP, syscall.ENOSYS} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func (d *disk) copyBytes(ctx context.Context, src *disk, fromKey, key string) (err error) {
	r, info, err := src.open(ctx, fromKey, 0, -1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	s, err := newSource(r, info.Size)
	if err != nil {
		return err
	}
	return d.place(key, func(temp string) error { return d.write(ctx, temp, s) })
}
