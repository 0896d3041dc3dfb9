package clamd

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxSocketPath is the longest path a Unix socket address holds on Linux (108 bytes with the closing NUL).
const maxSocketPath = 107

// clamdUser is the account that ClamAV's package makes; a worker that runs as root hands clamd to it.
const clamdUser = "clamav"

// places are the files of one embedded clamd. The folder and the configuration are the worker's; only private
// belongs to clamd's user, so that a clamd taken over by a hostile file cannot make the worker write elsewhere.
type places struct {
	folder  string
	conf    string
	bundled string
	private string
	socket  string
	// credential is the user clamd runs as; nil means the worker's own.
	credential *syscall.Credential
}

func placesIn(folder string, as *syscall.Credential) places {
	private := filepath.Join(folder, "private")
	return places{
		folder: folder, conf: filepath.Join(folder, "clamd.conf"), bundled: filepath.Join(folder, "signatures"),
		private: private, socket: filepath.Join(private, "clamd.sock"), credential: as,
	}
}

// choosePlaces puts the files into dir when a socket's path fits there and clamd's user can get there, else into
// a folder below the system's temporary folder whose name follows from dir. If clamd's user can reach
// neither, clamd runs as the worker's own.
func choosePlaces(dir string) (places, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return places{}, fmt.Errorf("clamd's folder: %w", err)
	}
	short := filepath.Join(os.TempDir(), fmt.Sprintf("gatehouse-clamd-%x", sha256.Sum256([]byte(dir)))[:32])
	users := []*syscall.Credential{nil}
	if other := lesserUser(); other != nil {
		users = []*syscall.Credential{other, nil}
	}
	for _, as := range users {
		for _, folder := range []string{dir, short} {
			p := placesIn(folder, as)
			if len(p.socket) <= maxSocketPath && (as == nil || reachable(folder, as)) {
				return p, nil
			}
		}
	}
	return places{}, fmt.Errorf("clamd's folder: %s and %s are too long for a socket", dir, short)
}

// lesserUser is clamd's own account when the worker is root and the account exists, else nil.
func lesserUser() *syscall.Credential {
	if os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup(clamdUser)
	if err != nil {
		return nil
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	if err1 != nil || err2 != nil {
		return nil
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// reachable reports whether the user may walk down to the folder's parent, going by permission bits. Folders
// that do not exist yet will be made by the worker, for everyone to walk through.
func reachable(folder string, as *syscall.Credential) bool {
	for at := filepath.Dir(folder); ; at = filepath.Dir(at) {
		var st unix.Stat_t
		if err := unix.Stat(at, &st); err == nil {
			walk := st.Mode&0o001 != 0 ||
				(st.Uid == as.Uid && st.Mode&0o100 != 0) || (st.Gid == as.Gid && st.Mode&0o010 != 0)
			if !walk {
				return false
			}
		}
		if at == filepath.Dir(at) {
			return true
		}
	}
}

// prepare makes the folders. Whatever an earlier clamd left in private (its socket, half-unpacked files) goes.
func (p places) prepare() error {
	mode := os.FileMode(0o700)
	if p.credential != nil {
		mode = 0o711 // clamd's user walks through
	}
	if err := os.MkdirAll(filepath.Dir(p.folder), 0o755); err != nil {
		return fmt.Errorf("clamd's folder: %w", err)
	}
	if err := os.Mkdir(p.folder, mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("clamd's folder: %w", err)
	}
	// The temporary folder is everybody's: trust nothing there that is not ours.
	var st unix.Stat_t
	if err := unix.Lstat(p.folder, &st); err != nil {
		return fmt.Errorf("clamd's folder: %w", err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR || int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("clamd's folder: %s is not a folder of the worker's user", p.folder)
	}
	if err := os.Chmod(p.folder, mode); err != nil {
		return fmt.Errorf("clamd's folder: %w", err)
	}
	return nil
}

// fresh empties the private folder for a new clamd.
func (p places) fresh() error {
	if err := os.RemoveAll(p.private); err != nil {
		return fmt.Errorf("clamd's folder: %w", err)
	}
	if err := os.Mkdir(p.private, 0o700); err != nil {
		return fmt.Errorf("clamd's folder: %w", err)
	}
	if p.credential != nil {
		if err := os.Chown(p.private, int(p.credential.Uid), int(p.credential.Gid)); err != nil {
			return fmt.Errorf("clamd's folder: %w", err)
		}
	}
	return nil
}

// lock keeps a second worker from running a clamd in the same folder. The kernel drops it with the worker.
func (p places) lock() (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(p.folder, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("clamd's folder: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("clamd's folder %s is in use by another worker: %w", p.folder, err), f.Close())
	}
	return f, nil
}
