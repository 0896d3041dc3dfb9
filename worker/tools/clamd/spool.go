package clamd

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// spoolInMemory is the size up to which foreign readers are spooled to memory instead of a file (invariant 7).
const spoolInMemory = 1 << 20

// copyBuffer is the read size of spooling and hashing: large enough that calls cost nothing beside SHA-256.
const copyBuffer = 256 << 10

// spool copies m's bytes to a nameless file, in memory when small, else in folder. The caller closes it; nothing
// remains then, nor after a crash.
func spool(m *meter, folder string) (*os.File, error) {
	f, err := nameless(m.size, folder)
	if err != nil {
		return nil, fmt.Errorf("spool for the scan: %w", err)
	}
	// CopyBuffer would call f.ReadFrom, whose buffer is not ours to size.
	_, err = io.CopyBuffer(struct{ io.Writer }{f}, m, make([]byte, min(m.size+1, copyBuffer)))
	if err == nil {
		err = m.complete()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("spool for the scan: %w", err), f.Close())
	}
	return f, nil
}

func nameless(size int64, folder string) (*os.File, error) {
	if size <= spoolInMemory {
		fd, err := unix.MemfdCreate("gatehouse-scan", unix.MFD_CLOEXEC)
		if err == nil {
			return os.NewFile(uintptr(fd), "gatehouse-scan"), nil
		}
	}
	if folder == "" {
		folder = os.TempDir()
	}
	fd, err := unix.Open(folder, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err == nil {
		return os.NewFile(uintptr(fd), filepath.Join(folder, "gatehouse-scan")), nil
	}
	// Some file systems know no O_TMPFILE: make a name and take it away again.
	f, err := os.CreateTemp(folder, "gatehouse-scan-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
