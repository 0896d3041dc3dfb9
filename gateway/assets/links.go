package assets

import (
	"fmt"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"gatehouse/gateway/auth"
	"gatehouse/gateway/stream"
	"gatehouse/storage"
)

// defaultLinkAge is what a link lives when the request does not say.
const defaultLinkAge = time.Hour

// badAge names the longest life of a link, in seconds, for people and under details.max.
func badAge(longest int64) error {
	return storage.Refuse(storage.CodeMalformedRequest, storage.Details{"max": longest}).Because(storage.Reason{
		Slug:    "expires_in",
		English: fmt.Sprintf("expires_in must be a whole number of seconds from 1 to %d.", longest),
		Chinese: fmt.Sprintf("expires_in 必须是 1 到 %d 之间的整数秒。", longest),
	})
}

// Link is POST /assets/{id}/links: a signed public URL for the original or a variant.
func (a *API) Link(c *fiber.Ctx) error {
	id, err := assetID(c)
	if err != nil {
		return err
	}
	var in struct {
		Variant   string `json:"variant"`
		ExpiresIn *int64 `json:"expires_in"`
	}
	if err := stream.ReadJSON(c, 0, &in); err != nil {
		return err
	}
	age := min(defaultLinkAge, a.Links.MaxAge)
	if in.ExpiresIn != nil {
		if *in.ExpiresIn < 1 || *in.ExpiresIn > int64(a.Links.MaxAge/time.Second) {
			return badAge(int64(a.Links.MaxAge / time.Second))
		}
		age = time.Duration(*in.ExpiresIn) * time.Second
	}
	ctx, cancel := a.context(c)
	defer cancel()
	tenantID := auth.From(c).TenantID
	v, err := a.DB.Tenant(ctx, tenantID).Asset(id)
	if err != nil {
		return err
	}
	if err := readable(v); err != nil {
		return err
	}
	if in.Variant == "" {
		err = originalServed(a.DB.Tenant(ctx, tenantID), v)
	} else {
		_, err = variantOf(v, in.Variant)
	}
	if err != nil {
		return err
	}
	expires := time.Now().Add(age).Truncate(time.Second).UTC()
	token, err := a.Links.Sign(auth.Link{TenantID: tenantID, AssetID: id, Variant: strings.Clone(in.Variant), Expires: expires.Unix()})
	if err != nil {
		return err
	}
	return c.Status(fiber.StatusCreated).JSON(fiber.Map{"url": strings.TrimSuffix(a.PublicURL, "/") + "/d/" + token, "expires_at": expires})
}
