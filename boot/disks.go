package boot

import (
	"net/url"
	"path/filepath"

	"gatehouse/configs"
	"gatehouse/storage/disk"
)

// Disks lists the folders of a program whose disks are watched. What they all have in common is the data folder, with
// SQLite its file's folder; the caller adds its own.
func Disks(cfg *configs.Config, own ...disk.Place) []disk.Place {
	places := own
	if cfg.Embedded() {
		if u, err := url.Parse(cfg.DatabaseURL()); err == nil { // the check of the configuration has parsed it before
			places = append(places, disk.Place{Use: "database", Path: filepath.Dir(u.Path)})
		}
	}
	return append(places, disk.Place{Use: "data", Path: cfg.DataDir})
}
