package intake

import (
	"maps"
	"slices"
	"strings"

	"gatehouse/storage"
)

// defaultCategories is what the design's default configuration puts where. It decides nothing but which
// refusal is given: when the tenant's policy has no such category at all, its plan is the reason.
var defaultCategories = map[storage.Category][]string{
	storage.CategoryImage:    {"jpg", "jpeg", "png", "webp", "gif", "heic", "heif", "avif"},
	storage.CategoryVideo:    {"mp4", "m4v", "mov", "webm", "mkv"},
	storage.CategoryDocument: {"pdf", "docx", "xlsx", "pptx", "txt", "csv", "md"},
}

// checkExtension maps the last extension to a category of the policy. It fills Ext and Category.
func checkExtension(c *Candidate) error {
	ext := strings.ToLower(c.Name[strings.LastIndexByte(c.Name, '.')+1:])
	allowed := c.Policy.Categories
	// Sorted, so that an extension configured twice always lands in the same category.
	for _, category := range slices.Sorted(maps.Keys(allowed)) {
		if slices.Contains(allowed[category].Extensions, ext) {
			c.Ext, c.Category = ext, category
			return nil
		}
	}
	for category, extensions := range defaultCategories {
		if _, planned := allowed[category]; !planned && slices.Contains(extensions, ext) {
			return storage.Refuse(storage.CodePlanForbids, storage.Details{
				"extension": ext, "category": string(category),
			})
		}
	}
	return storage.Refuse(storage.CodeExtensionNotAllowed, storage.Details{
		"extension": ext, "allowed": allowedExtensions(allowed),
	})
}

// allowedExtensions lists every extension of the policy once, sorted, as one string that can be shown.
func allowedExtensions(categories map[storage.Category]storage.CategoryPolicy) string {
	var all []string
	for _, p := range categories {
		all = append(all, p.Extensions...)
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), ", ")
}
