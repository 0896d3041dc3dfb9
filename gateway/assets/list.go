package assets

import (
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// The sizes of a page.
const (
	defaultPage = 50
	maxPage     = 200
)

// List is GET /assets: newest first, keyset-paged.
func (a *API) List(c *fiber.Ctx) error {
	filter, err := filterOf(c)
	if err != nil {
		return err
	}
	limit, before, err := pageOf(c)
	if err != nil {
		return err
	}
	ctx, cancel := a.context(c)
	defer cancel()
	// One more than asked for tells whether there is a next page.
	list, err := a.tenant(ctx, c).Assets(filter, before, limit+1)
	if err != nil {
		return err
	}
	page := struct {
		Items      []Asset `json:"items"`
		NextCursor *string `json:"next_cursor"`
	}{Items: []Asset{}}
	if len(list) > limit {
		list = list[:limit]
		next := meta.EncodeCursor(list[limit-1].ID)
		page.NextCursor = &next
	}
	locale := a.locale(c)
	for _, v := range list {
		page.Items = append(page.Items, viewOf(v, locale))
	}
	return c.JSON(page)
}

func filterOf(c *fiber.Ctx) (meta.AssetFilter, error) {
	f := meta.AssetFilter{
		State:    storage.AssetState(strings.Clone(c.Query("state"))),
		Category: storage.Category(strings.Clone(c.Query("category"))),
		Query:    strings.ToValidUTF8(strings.Clone(c.Query("q")), ""),
	}
	switch f.State {
	case "", storage.AssetQuarantined, storage.AssetAvailable, storage.AssetRejected:
	default:
		return f, malformed("state", "The state must be quarantined, available or rejected.", "state 必须是 quarantined、available 或 rejected。")
	}
	switch f.Category {
	case "", storage.CategoryImage, storage.CategoryVideo, storage.CategoryDocument, storage.CategoryRelease:
	default:
		return f, malformed("category", "The category must be image, video, document or release.", "category 必须是 image、video、document 或 release。")
	}
	if len(f.Query) > 255 || strings.ContainsRune(f.Query, 0) {
		return f, malformed("q", "The search text is at most 255 bytes, without NUL.", "搜索文本最多 255 字节，且不含 NUL。")
	}
	return f, nil
}

func pageOf(c *fiber.Ctx) (limit int, before string, err error) {
	limit = defaultPage
	if s := c.Query("limit"); s != "" {
		if limit, err = strconv.Atoi(s); err != nil || limit < 1 || limit > maxPage {
			return 0, "", malformed("limit", "The limit must be a whole number from 1 to 200.", "limit 必须是 1 到 200 的整数。")
		}
	}
	if s := c.Query("cursor"); s != "" {
		before, err = meta.DecodeCursor(s)
	}
	return limit, before, err
}
