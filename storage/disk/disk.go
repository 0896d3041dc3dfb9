// Package disk measures the file systems that a program uses, and tells the database about them, so that an alert can
// name the host and the mount before one is full.
package disk

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"gatehouse/storage/meta"
)

// Place is a folder (or a file) that a program uses, and what for: spool, store, database, data.
type Place struct{ Use, Path string }

// Measure looks at the file system under a path.
func Measure(path string) (meta.DiskUse, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(path, &st); err != nil {
		return meta.DiskUse{}, fmt.Errorf("statfs %s: %w", path, err)
	}
	block := st.Frsize // f_blocks counts fragments; zero where a file system has none
	if block == 0 {
		block = st.Bsize
	}
	return meta.DiskUse{
		Path: path, Total: int64(st.Blocks) * block, Used: int64(st.Blocks-st.Bfree) * block, Free: int64(st.Bavail) * block,
		Files: int64(st.Files), FilesFree: int64(st.Ffree),
	}, nil
}

// Free is what a program without privileges may still write under a path, in bytes.
func Free(path string) (int64, error) {
	d, err := Measure(path)
	return d.Free, err
}

// MeasureAll looks at the places, one entry a mount. What can be measured is measured; the error names the rest.
func MeasureAll(places []Place) ([]meta.DiskUse, error) {
	mounts, err := mounted()
	errs := []error{err}
	var out []meta.DiskUse
	at := map[string]int{}
	for _, p := range places {
		d, err := Measure(p.Path)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		d.Mount = mounts.of(p.Path)
		if i, have := at[d.Mount]; have {
			out[i].Uses = append(out[i].Uses, p.Use)
			continue
		}
		at[d.Mount] = len(out)
		d.Uses = []string{p.Use}
		out = append(out, d)
	}
	return out, errors.Join(errs...)
}

// mounts are the mount points that the process sees.
type mounts []string

func mounted() (_ mounts, err error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("read the mounts: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return parseMounts(f)
}

// parseMounts reads proc_pid_mountinfo(5): the fifth field is the mount point, with blanks and the like as octals.
func parseMounts(r io.Reader) (mounts, error) {
	var out mounts
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20) // an overlay of many layers has long lines
	for lines.Scan() {
		if fields := strings.Fields(lines.Text()); len(fields) > 4 {
			out = append(out, unescape(fields[4]))
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the mounts: %w", err)
	}
	return out, nil
}

func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// of is the mount point that a path is under: the longest that is a part of it. A path that leads through links is
// followed; one whose mount is not known stands for itself.
func (m mounts) of(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	best := ""
	for _, at := range m {
		inside := at == "/" || path == at || strings.HasPrefix(path, at+"/")
		if inside && len(at) >= len(best) {
			best = at
		}
	}
	if best == "" {
		return path
	}
	return best
}
