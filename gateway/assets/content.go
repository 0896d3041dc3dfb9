package assets

import (
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"gatehouse/gateway/auth"
	"gatehouse/gateway/content"
	"gatehouse/quota"
	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// Content is GET /assets/{id}/content: the original's bytes.
func (a *API) Content(c *fiber.Ctx) error { return a.serve(c, "") }

// Variant is GET /assets/{id}/variants/{preset}.
func (a *API) Variant(c *fiber.Ctx) error { return a.serve(c, strings.Clone(c.Params("preset"))) }

// Download is GET /d/{token}: what a signed link grants, as long as the asset is available.
func (a *API) Download(c *fiber.Ctx) error {
	link, err := a.Links.Verify(strings.Clone(c.Params("token")), time.Now())
	if err != nil {
		return err
	}
	ctx, cancel := a.context(c)
	defer cancel()
	tenant := a.DB.Tenant(ctx, link.TenantID)
	row, err := tenant.Row()
	if err != nil {
		return err
	}
	if !row.State.Served() {
		return storage.ErrNotFound
	}
	return a.serveFrom(c, tenant, link.AssetID, link.Variant, true)
}

func (a *API) serve(c *fiber.Ctx, preset string) error {
	id, err := assetID(c)
	if err != nil {
		return err
	}
	ctx, cancel := a.context(c)
	defer cancel()
	return a.serveFrom(c, a.DB.Tenant(ctx, auth.From(c).TenantID), id, preset, false)
}

// serveFrom is the only way bytes of tenants leave; those of releases leave by send of gateway/release alone (readable). They come from
// the clean zone, whatever a row says. public is for signed links, which pages of other origins may embed.
func (a *API) serveFrom(c *fiber.Ctx, tenant meta.Tenant, id, preset string, public bool) error {
	v, err := tenant.Asset(id)
	if err != nil {
		return err
	}
	if err := readable(v); err != nil {
		return err
	}
	if preset == "" {
		if err := originalServed(tenant, v); err != nil {
			return err
		}
	}
	o := content.Object{
		Size: v.Size, ETag: v.SHA256, MediaType: v.MediaType, Name: v.Name, LastModified: v.CreatedAt.Time(),
		CrossOrigin: public,
		Inline:      v.Category == storage.CategoryImage || v.Category == storage.CategoryVideo,
	}
	stored := cleanObject{api: a, asset: v, key: storage.BlobKey(tenant.ID(), v.SHA256), size: v.Size}
	if preset != "" {
		x, err := variantOf(v, preset)
		if err != nil {
			return err
		}
		o.Size, o.ETag, o.MediaType, o.LastModified = x.Size, x.Digest, x.MediaType, x.CreatedAt.Time()
		o.Name = strings.TrimSuffix(v.Name, "."+v.Ext) + "." + preset + "." + x.Ext
		stored.variant, stored.key, stored.size = preset, x.Key(), x.Size
	}
	if c.Method() == fiber.MethodHead { // which opens nothing, and must not promise what GET cannot give
		if err := stored.look(c.UserContext()); err != nil {
			return err
		}
	}
	o.Open = stored.open
	return content.Serve(c, o)
}

// readable refuses what is not, or not yet, available, and what is known to be damaged. Files of releases are never read here,
// where nothing compares their bytes with those that were published.
func readable(v meta.AssetView) error {
	switch {
	case v.Category == storage.CategoryRelease:
		return storage.Refuse(storage.CodeReleasePermissionDenied, nil).Because(reasonReadFromFeed)
	case v.State == storage.AssetRejected:
		return storage.Refuse(storage.CodeAssetRejected, storage.Details{
			"scan_status": string(v.Blob.ScanStatus), "signature": v.Blob.ScanSignature,
		})
	case v.Blob.Damage != "":
		return refuseDamaged(v, v.Blob.Damage)
	case v.State == storage.AssetAvailable && v.Blob.Zone == storage.ZoneClean && v.Blob.ScanStatus == storage.ScanClean:
		return nil
	}
	return storage.Refuse(storage.CodeAssetQuarantined, storage.Details{"scan_status": string(v.Blob.ScanStatus)})
}

var reasonReadFromFeed = storage.Reason{
	Slug:    "read_from_feed",
	English: "Files of releases are read from the update feed, once they are published.",
	Chinese: "发布版本的文件在发布之后只能通过更新源读取。",
}

var reasonOriginalsWithheld = storage.Reason{
	Slug:    "originals_withheld",
	English: "Only the web-ready forms of pictures and videos are served under this plan; details.variants names those this asset has.",
	Chinese: "在此套餐下，图片和视频仅提供适合网页的版本；details.variants 列出了该资源现有的版本。",
}

// originalServed refuses the original of a picture or video where the plan serves only variants. The plan is read anew:
// a link may be older than the rule.
func originalServed(tenant meta.Tenant, v meta.AssetView) error {
	if _, media := storage.MediaTask(v.Category); !media {
		return nil
	}
	spec, err := quota.SpecFor(tenant)
	if err != nil {
		return err // also while the plan is lost: it may be one that withholds originals
	}
	if spec.Serve != quota.ServeVariantsOnly {
		return nil
	}
	return storage.Refuse(storage.CodePlanForbids, storage.Details{
		"variants": variantNames(v), "media_status": string(v.Blob.MediaStatus),
	}).Because(reasonOriginalsWithheld)
}

func variantNames(v meta.AssetView) string {
	names := make([]string, len(v.Variants))
	for i, x := range v.Variants {
		names[i] = x.Preset
	}
	return strings.Join(names, ", ")
}

var reasonVariantUnknown = storage.Reason{
	Slug:    "variant_unknown",
	English: "This asset has no variant of that name; details.variants names those it has.",
	Chinese: "该资源没有此名称的变体；details.variants 列出了现有的变体。",
}

func variantOf(v meta.AssetView, preset string) (meta.Variant, error) {
	for _, x := range v.Variants {
		if x.Preset == preset {
			return x, nil
		}
	}
	refusal := storage.Refuse(storage.CodeNotFound, storage.Details{"media_status": string(v.Blob.MediaStatus)})
	if v.Blob.MediaStatus == storage.MediaPending || v.Blob.MediaStatus == storage.MediaRunning {
		return meta.Variant{}, refusal.Because(storage.Reason{
			Slug:    "variant_not_ready",
			English: "This variant is not ready yet; follow the asset's events and ask again.",
			Chinese: "该变体尚未就绪；请关注资源的事件后再次请求。",
		})
	}
	refusal.Details["variants"] = variantNames(v)
	return meta.Variant{}, refusal.Because(reasonVariantUnknown)
}
