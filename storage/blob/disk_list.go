package blob

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"slices"
	"strings"
	"time"
)

// listPage bounds how many names of one folder are held at once: a megabyte or two. A folder with more is read
// again for each page.
const listPage = 8192

// List walks the folders in byte order of whole keys: a folder sorts as its name with the slash, so that "a-b"
// comes before "a/b" although "a" comes before "a-b".
//
// A listing of the whole zone begins by removing what killed puts left behind: only a full reconciliation lists
// so, every night, and a process may run for months. Should that fail, it is told at the end of the listing.
func (d *disk) List(ctx context.Context, prefix, after string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		if err := checkList(prefix, after); err != nil {
			yield(Info{}, opError("list", prefix, err))
			return
		}
		var sweep error
		if prefix == "" && after == "" {
			sweep = sweepTemp(d.root, time.Now().Add(-tempAge))
		}
		root, err := openFolder(d.root, "./"+prefix)
		if errors.Is(err, ErrNotExist) {
			return
		}
		if err == nil {
			w := walk{after: after, page: listPage, yield: yield}
			var more bool
			more, err = w.folder(ctx, root, prefix)
			err = errors.Join(err, root.Close())
			if err == nil && more {
				err = sweep
			}
		}
		if err != nil {
			yield(Info{}, opError("list", prefix, err))
		}
	}
}

// openFolder opens what really is a folder; anything else is not there.
func openFolder(root *os.Root, name string) (*os.Root, error) {
	fi, err := root.Lstat(strings.TrimSuffix(name, "/"))
	if err != nil {
		return nil, diskError(err)
	}
	if !fi.IsDir() {
		return nil, ErrNotExist
	}
	sub, err := root.OpenRoot(name)
	return sub, diskError(err)
}

type walk struct {
	after string
	page  int
	yield func(Info, error) bool
}

// folder yields what lies under base, which root is. It returns false when the consumer has had enough.
func (w *walk) folder(ctx context.Context, root *os.Root, base string) (more bool, err error) {
	for last := ""; ; {
		names, complete, err := w.read(ctx, root, base, last)
		if err != nil {
			return false, err
		}
		for _, name := range names {
			if more, err := w.entry(ctx, root, base, name); err != nil || !more {
				return false, err
			}
		}
		if complete {
			return true, nil
		}
		last = names[len(names)-1]
	}
}

// entry yields one object, or what lies under one folder (whose name ends in a slash).
func (w *walk) entry(ctx context.Context, root *os.Root, base, name string) (more bool, err error) {
	folder, isFolder := strings.CutSuffix(name, "/")
	if !isFolder {
		fi, err := root.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) || err == nil && !fi.Mode().IsRegular() {
			return true, nil // deleted meanwhile
		}
		if err != nil {
			return false, diskError(err)
		}
		return w.yield(Info{Key: base + name, Size: fi.Size(), ModTime: fi.ModTime()}, nil), nil
	}
	sub, err := openFolder(root, folder)
	if errors.Is(err, ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	more, err = w.folder(ctx, sub, base+name)
	return more, errors.Join(err, sub.Close())
}

// read returns the smallest names of the folder greater than last, at most a page of them, sorted; complete when
// there are no more. Only names that keys are made of count.
func (w *walk) read(ctx context.Context, root *os.Root, base, last string) (names []string, complete bool, err error) {
	f, err := root.Open(".")
	if err != nil {
		return nil, false, diskError(err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	complete = true
	keep := func() {
		slices.Sort(names)
		if len(names) > w.page {
			names, complete = names[:w.page], false
		}
	}
	for {
		if err := ctx.Err(); err != nil {
			return nil, false, err
		}
		entries, err := f.ReadDir(1024)
		for _, e := range entries {
			if name, ok := w.wanted(e, base); ok && name > last {
				names = append(names, name)
			}
		}
		if len(names) >= 2*w.page {
			keep()
		}
		if err == io.EOF {
			keep()
			return names, complete, nil
		}
		if err != nil {
			return nil, false, diskError(err)
		}
	}
}

// wanted skips what is no object or folder of objects, and what lies wholly at or before the cursor.
func (w *walk) wanted(e fs.DirEntry, base string) (string, bool) {
	name := e.Name()
	if !legalSegment(name) {
		return "", false
	}
	switch {
	case e.IsDir():
		name += "/"
		return name, base+name > w.after || strings.HasPrefix(w.after, base+name)
	case e.Type().IsRegular():
		return name, base+name > w.after
	}
	return "", false
}
