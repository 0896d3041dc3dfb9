package boot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"

	"gatehouse/configs"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
)

// Commands that look at what the programs have made must not make it themselves: started in another folder, or without
// the configuration, they would find a new and empty Gatehouse, and leave it there.

// ErrNotThere says that the configuration names a database that does not exist.
var ErrNotThere = errors.New("there is no database")

// ExistingDatabase opens the database; one of a file that does not exist is ErrNotThere.
func ExistingDatabase(ctx context.Context, cfg *configs.Config) (*meta.DB, error) {
	if cfg.Embedded() {
		u, err := url.Parse(cfg.DatabaseURL())
		if err != nil {
			return nil, fmt.Errorf("database.url: %w", err)
		}
		if _, err := os.Stat(u.Path); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w %s: run `gateway migrate` if it is to be made, or name the configuration that the programs run with "+
				"(--config, GATEHOUSE_CONFIG) or their data_dir (GATEHOUSE_DATA_DIR)", ErrNotThere, u.Path)
		} else if err != nil {
			return nil, fmt.Errorf("look for the database: %w", err)
		}
	}
	return Database(ctx, cfg)
}

// ExistingZones opens the store; one that does not exist is blob.ErrNoStore.
func ExistingZones(ctx context.Context, cfg *configs.Config) (*blob.Zones, error) {
	c := store(cfg)
	c.Existing = true
	zones, err := blob.Open(ctx, c)
	if errors.Is(err, blob.ErrNoStore) {
		err = fmt.Errorf("%w: name the configuration that the programs run with (--config, GATEHOUSE_CONFIG) or their data_dir "+
			"(GATEHOUSE_DATA_DIR); a new store is made when they start", err)
	}
	return zones, err
}
