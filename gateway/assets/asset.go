package assets

import (
	"github.com/gofiber/fiber/v2"

	"gatehouse/gateway/auth"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
)

// Get is GET /assets/{id}.
func (a *API) Get(c *fiber.Ctx) error {
	id, err := assetID(c)
	if err != nil {
		return err
	}
	ctx, cancel := a.context(c)
	defer cancel()
	v, err := a.tenant(ctx, c).Asset(id)
	if err != nil {
		return err
	}
	return c.JSON(viewOf(v, a.locale(c)))
}

// Delete is DELETE /assets/{id}: the asset ends at once, its bytes go with the next sweep when no other asset
// shares them.
func (a *API) Delete(c *fiber.Ctx) error {
	id, err := assetID(c)
	if err != nil {
		return err
	}
	ctx, cancel := a.context(c)
	defer cancel()
	tenantID, actor := auth.From(c).TenantID, a.actor(c)
	err = a.DB.InTx(ctx, func(tx *meta.Tx) error {
		gone, err := tx.Tenant(tenantID).DeleteAsset(id)
		if err != nil {
			return err
		}
		return audit.Write(tx, audit.Entry{
			Actor: actor, TenantID: tenantID, Action: "asset.delete", Target: id, Result: audit.OK,
			Data: map[string]any{"name": gone.Name, "sha256": gone.SHA256, "size": gone.Size, "state": gone.State},
		})
	})
	if err != nil {
		return err
	}
	return c.SendStatus(fiber.StatusNoContent)
}
