package intake

import "golang.org/x/sys/unix"

// oTmpfile opens a file without a name (open(2)); the file systems of Linux servers have it (ext4, xfs, btrfs,
// tmpfs, overlayfs since 6.3).
const oTmpfile = unix.O_TMPFILE
