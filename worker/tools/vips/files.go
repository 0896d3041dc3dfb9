package vips

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"gatehouse/storage"
)

// desk is the files of one job: the picture, opened for reading only, and an empty file in memory for each output.
type desk struct {
	input   *os.File
	outputs []*os.File
}

func (r *Runner) newDesk(ctx context.Context, p Picture, outputs int) (*desk, error) {
	d := &desk{}
	if err := d.fill(ctx, p.Bytes, r.cfg, outputs); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

func (d *desk) fill(ctx context.Context, picture io.Reader, c Config, outputs int) error {
	var err error
	if f, ok := picture.(*os.File); ok && atBeginning(f) {
		d.input, err = reopen(f)
	} else {
		d.input, err = spool(ctx, picture, c)
	}
	if err != nil {
		return err
	}
	info, err := d.input.Stat()
	if err != nil {
		return err
	}
	if info.Size() > c.MaxBytes {
		return &Undecodable{storage.ReasonPictureTooCostly, fmt.Sprintf("the file is larger than %d bytes", c.MaxBytes)}
	}
	d.outputs = make([]*os.File, outputs)
	return d.renew(make([]bool, outputs))
}

// renew gives an empty file for each output that is not finished: a child may have begun the one there was.
func (d *desk) renew(finished []bool) error {
	for i, keep := range finished {
		if keep {
			continue
		}
		if err := d.release(i); err != nil {
			return fmt.Errorf("discard an output: %w", err)
		}
		fd, err := unix.MemfdCreate("variant", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
		if err != nil {
			return fmt.Errorf("create an output: %w", err)
		}
		d.outputs[i] = os.NewFile(uintptr(fd), "variant")
	}
	return nil
}

// release gives back an output's memory, which lives as long as a descriptor.
func (d *desk) release(i int) error {
	f := d.outputs[i]
	d.outputs[i] = nil
	if f == nil {
		return nil
	}
	return f.Close()
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

// reopen gives a descriptor of the same file that cannot write and has a position of its own.
func reopen(f *os.File) (*os.File, error) {
	return os.Open(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
}

// spool copies the picture to a file without a name.
func spool(ctx context.Context, picture io.Reader, c Config) (*os.File, error) {
	f, err := nameless(c.TempDir)
	if err != nil {
		f, err = unnamed(c.TempDir)
	}
	if err != nil {
		return nil, fmt.Errorf("create a file for the picture: %w", err)
	}
	defer func() { _ = f.Close() }()
	cancelled := func() error { return context.Cause(ctx) }
	if _, err := io.Copy(f, io.LimitReader(untilDone{cancelled, picture}, c.MaxBytes+1)); err != nil {
		return nil, fmt.Errorf("read the picture: %w", err)
	}
	return reopen(f)
}

// nameless makes a file that never has a name, so that a worker that is killed leaves nothing behind. Not every file
// system can.
func nameless(dir string) (*os.File, error) {
	return os.OpenFile(dir, os.O_RDWR|unix.O_TMPFILE, 0o600)
}

// unnamed makes a file and takes its name away.
func unnamed(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "gatehouse-vips-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// seal makes an output unchangeable: the child lives on and still has its descriptor.
func seal(f *os.File) error {
	_, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS,
		unix.F_SEAL_WRITE|unix.F_SEAL_GROW|unix.F_SEAL_SHRINK|unix.F_SEAL_SEAL)
	return err
}

func (d *desk) close() error {
	var errs []error
	if d.input != nil {
		errs = append(errs, d.input.Close())
	}
	for i := range d.outputs {
		errs = append(errs, d.release(i))
	}
	return errors.Join(errs...)
}

// untilDone is a reader that ends with the context.
type untilDone struct {
	cancelled func() error
	io.Reader
}

func (u untilDone) Read(p []byte) (int, error) {
	if err := u.cancelled(); err != nil {
		return 0, err
	}
	return u.Reader.Read(p)
}
