package tenancy

import (
	"context"
	"errors"
	"fmt"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// platformNames are what the platform's tenant is called: the first that nobody has. Operators may call it something else; it is
// known by its id.
var platformNames = []string{storage.PlatformPlan, "platform (releases)"}

var reasonNoPlatformPlan = storage.Reason{
	Slug: "platform_plan",
	English: "There is no plan named " + storage.PlatformPlan + ", which the tenant that owns the files of releases is on. Run `gateway migrate`: " +
		"it makes the plans of the configuration that the database does not have.",
	Chinese: "没有名为 " + storage.PlatformPlan + " 的套餐，而拥有发布文件的租户需要使用该套餐。请运行 `gateway migrate`：它会创建配置中有而数据库中没有的套餐。",
}

// EnsurePlatform makes the tenant that owns the files of all releases, unless it is there. Any number of programs may ask at once.
// It has no key: whoever uploads with one has it made, as for any tenant.
//
// Unlike a customer's tenant it is made in one transaction, so that there is nothing to take back. The zones are not tried out
// first: its uploads are the first to know.
func (p Provisioner) EnsurePlatform(ctx context.Context) error {
	for _, name := range platformNames {
		_, err := p.DB.Tenant(ctx, storage.PlatformTenant).Row()
		if !errors.Is(err, storage.ErrNotFound) {
			return err
		}
		err = p.makePlatform(ctx, name)
		if !errors.Is(err, ErrNameTaken) {
			return err
		}
	}
	// The last attempt may have failed because another program has made the tenant meanwhile.
	_, err := p.DB.Tenant(ctx, storage.PlatformTenant).Row()
	if errors.Is(err, storage.ErrNotFound) {
		return fmt.Errorf("make the platform's tenant: %w", ErrNameTaken)
	}
	return err
}

// makePlatform reports ErrNameTaken also when there is a tenant of that id.
func (p Provisioner) makePlatform(ctx context.Context, name string) error {
	const id = storage.PlatformTenant
	err := p.DB.InTx(ctx, func(tx *meta.Tx) error {
		if _, err := tx.LockPlan(storage.PlatformPlan); errors.Is(err, storage.ErrNotFound) {
			return storage.Refuse(storage.CodeConflict, nil).Because(reasonNoPlatformPlan)
		} else if err != nil {
			return fmt.Errorf("plan %s: %w", storage.PlatformPlan, err)
		}
		now := meta.Now()
		t := meta.TenantRow{ID: id, Name: name, Plan: storage.PlatformPlan, State: storage.TenantProvisioning, CreatedAt: now, UpdatedAt: now}
		created, err := tx.CreateTenant(&t)
		if err != nil {
			return err
		}
		if !created {
			return ErrNameTaken
		}
		if err := p.write(tx, id, "tenant.create", id, map[string]any{"name": name, "plan": t.Plan, "platform": true}); err != nil {
			return err
		}
		if err := tx.MoveTenant(t, storage.TenantActive, "", nil); err != nil {
			return err
		}
		return p.write(tx, id, "tenant.activate", id, map[string]any{"before": t.State, "after": storage.TenantActive})
	})
	if err != nil && storage.CodeOf(err) == "" && !errors.Is(err, ErrNameTaken) {
		return fmt.Errorf("make the platform's tenant: %w", err)
	}
	return err
}
