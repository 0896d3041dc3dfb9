package admin

import (
	"context"
	"errors"

	"gatehouse/storage"
	"gatehouse/storage/tenancy"
)

// EnsurePlatform makes the tenant that owns the files of all releases, unless it is there.
func (a Admin) EnsurePlatform(ctx context.Context) error {
	return tenancy.Provisioner{DB: a.DB, Zones: a.Zones, Actor: a.Actor, Reason: a.Reason}.EnsurePlatform(ctx)
}

// ensureMeant makes the platform's tenant for whoever asks for a key of it before anything of a release has come in.
func (a Admin) ensureMeant(ctx context.Context, tenant string) error {
	if tenant != storage.PlatformTenant && tenant != storage.PlatformPlan {
		return nil
	}
	if _, err := a.DB.FindTenant(ctx, tenant); !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	return a.EnsurePlatform(ctx)
}
