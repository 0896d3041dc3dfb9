package assets

import (
	"maps"
	"slices"

	"github.com/gofiber/fiber/v2"

	"gatehouse/gateway/auth"
	"gatehouse/quota"
	"gatehouse/storage"
)

// Policy is GET /policy: the limits that hold for this key's tenant, so that a dialog can show them.
func (a *API) Policy(c *fiber.Ctx) error {
	ctx, cancel := a.context(c)
	defer cancel()
	p := auth.From(c)
	q, err := a.tenant(ctx, c).Quota()
	if err != nil {
		return err
	}
	type category struct {
		Name       storage.Category `json:"name"`
		Extensions []string         `json:"extensions"`
		MaxBytes   int64            `json:"max_bytes"`
	}
	categories := []category{}
	for _, name := range slices.Sorted(maps.Keys(p.Policy.Categories)) {
		rule := p.Policy.Categories[name]
		categories = append(categories, category{name, rule.Extensions, rule.MaxBytes})
	}
	return c.JSON(fiber.Map{
		"plan": p.Plan, "suspended": p.Suspended, "categories": categories, "max_name_bytes": p.Policy.Limits.MaxNameBytes,
		"max_pixels": p.Policy.Limits.MaxPixels, "duplicates": duplicates(p.Policy), "serve": serves(p.Policy),
		"quota": q.Quota, "remaining": max(0, q.Quota-q.Used-q.Reserved), "upgrade_url": p.Policy.UpgradeURL,
		"max_files": p.Spec.MaxFiles, "used_files": q.UsedFiles, "uploads_per_minute": p.Spec.UploadsPerMinute,
		"concurrent_uploads": p.Spec.ConcurrentUploads, "retention_days": p.Spec.RetentionDays,
		"transcoding": p.Spec.Transcoding, "image_presets": list(p.Spec.ImagePresets),
		"video_presets": list(p.Spec.VideoPresets), "max_video_height": p.Spec.MaxVideoHeight,
	})
}

// list is never null in JSON.
func list(names []string) []string { return append([]string{}, names...) }

func duplicates(p storage.Policy) string {
	if p.RejectDuplicates {
		return quota.DuplicatesReject
	}
	return quota.DuplicatesLink
}

func serves(p storage.Policy) string {
	if p.VariantsOnly {
		return quota.ServeVariantsOnly
	}
	return quota.ServeAll
}

// Usage is GET /usage: the ledger, and the assets counted.
func (a *API) Usage(c *fiber.Ctx) error {
	ctx, cancel := a.context(c)
	defer cancel()
	tenant := a.tenant(ctx, c)
	q, err := tenant.Quota()
	if err != nil {
		return err
	}
	held, err := a.Intake.Ledger.Releasing(tenant)
	if err != nil {
		return err
	}
	rows, err := tenant.Usage()
	if err != nil {
		return err
	}
	var total int64
	byState, byCategory := map[storage.AssetState]int64{}, map[storage.Category]int64{}
	for _, r := range rows {
		total += r.Count
		byState[r.State] += r.Count
		byCategory[r.Category] += r.Count
	}
	return c.JSON(fiber.Map{
		"quota": q.Quota, "used": q.Used, "reserved": q.Reserved, "remaining": max(0, q.Quota-q.Used-q.Reserved),
		"releasing_bytes": held.Bytes, "released_at": held.ReleasedAt,
		"max_files": auth.From(c).Spec.MaxFiles, "used_files": q.UsedFiles, "reserved_files": q.ReservedFiles,
		"assets": fiber.Map{"total": total, "by_state": byState, "by_category": byCategory},
	})
}
