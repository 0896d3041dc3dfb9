package vips

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
)

// desk is the files of one child: a private folder, the picture, and an empty file for each output.
type desk struct {
	folder  string
	input   *os.File
	spooled bool
	outputs []*os.File
}

func (r *Runner) newDesk(ctx context.Context, p Picture, outputs int) (*desk, error) {
	folder, err := os.MkdirTemp(r.cfg.TempDir, folderPrefix)
	if err != nil {
		return nil, err
	}
	d := &desk{folder: folder}
	if err := d.fill(ctx, p.Bytes, r.cfg.MaxBytes, outputs); err != nil {
		return nil, errors.Join(err, d.clear(true))
	}
	return d, nil
}

func (d *desk) fill(ctx context.Context, picture io.Reader, maxBytes int64, outputs int) error {
	for i := range outputs {
		f, err := os.OpenFile(filepath.Join(d.folder, strconv.Itoa(i)), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
		if err != nil {
			return err
		}
		d.outputs = append(d.outputs, f)
	}
	if f, ok := picture.(*os.File); ok && atBeginning(f) {
		d.input = f
	} else {
		d.spooled = true
		f, err := os.OpenFile(filepath.Join(d.folder, "input"), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
		if err != nil {
			return err
		}
		d.input = f
		if _, err := io.Copy(f, io.LimitReader(untilDone{func() error { return context.Cause(ctx) }, picture}, maxBytes+1)); err != nil {
			return fmt.Errorf("read the picture: %w", err)
		}
	}
	info, err := d.input.Stat()
	if err != nil {
		return err
	}
	if info.Size() > maxBytes {
		return &Undecodable{ReasonTooCostly, fmt.Sprintf("the file is larger than %d bytes", maxBytes)}
	}
	return nil
}

// atBeginning reports whether f is an ordinary file that would be read from its first byte.
func atBeginning(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	at, err := f.Seek(0, io.SeekCurrent)
	return err == nil && at == 0
}

// clear removes the folder and closes what does not go to the caller. Open outputs live on without their names.
func (d *desk) clear(failed bool) error {
	errs := []error{os.RemoveAll(d.folder)}
	if d.spooled && d.input != nil {
		errs = append(errs, d.input.Close())
	}
	if failed {
		for _, f := range d.outputs {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}
