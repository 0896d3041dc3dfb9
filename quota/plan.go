package quota

import (
	"encoding/json"
	"maps"
	"slices"

	"gatehouse/storage"
)

// Spec is what a plan refines; it is stored as JSON with the plan. A tenant's own overrides are JSON with the same keys.
// A number of 0, also that of a row older than its key, is no limit: a count of nothing would be a suspension, which tenants
// have a state for. People write and read "unlimited" instead (gateway plan, gateway tenant), and 0 only where it means nothing
// at all: for bytes.
type Spec struct {
	// Categories the plan allows; empty allows all that are configured.
	Categories []storage.Category `json:"categories,omitempty"`
	// MaxBytes lowers the size limit of a category; it never raises it over the configured one.
	MaxBytes map[storage.Category]int64 `json:"max_bytes,omitempty"`
	// Duplicates is "link" (the default) or "reject".
	Duplicates string `json:"duplicates,omitempty"`
	// PDFActiveContent accepts PDFs with scripts, launch actions and attachments.
	PDFActiveContent bool `json:"pdf_active_content,omitempty"`
	// Serve is "all" (the default) or "variants_only": then no original of a picture or video is ever served.
	Serve string `json:"serve,omitempty"`
	// ImagePresets names the presets a picture gets; empty means all.
	ImagePresets []string `json:"image_presets,omitempty"`
	// Transcoding makes videos web-ready, in the presets that VideoPresets names; empty means those of H.264.
	Transcoding  bool     `json:"transcoding,omitempty"`
	VideoPresets []string `json:"video_presets,omitempty"`
	// MaxVideoHeight lowers the shorter side of a video's variants, in pixels: 1080 for 1920 x 1080 and 1080 x 1920.
	MaxVideoHeight int64 `json:"max_video_height,omitempty"`
	// UpgradeURL is shown when the quota is exceeded.
	UpgradeURL string `json:"upgrade_url,omitempty"`
	// MaxFiles bounds the assets that are not deleted.
	MaxFiles int64 `json:"max_files,omitempty"`
	// UploadsPerMinute bounds the uploads that begin in a minute of the clock, ConcurrentUploads those under way.
	UploadsPerMinute  int64 `json:"uploads_per_minute,omitempty"`
	ConcurrentUploads int64 `json:"concurrent_uploads,omitempty"`
	// RetentionDays is how long an asset is kept before it is deleted.
	RetentionDays int64 `json:"retention_days,omitempty"`
}

// Unlimited is the number of bytes of a quota that is no limit: 8 PiB, and the most that every JSON reader reads exactly. A
// quota of 0 is one of nothing.
const Unlimited int64 = 1<<53 - 1

// Limits is what the spec asks of one more upload.
func (s Spec) Limits() Limits {
	return Limits{MaxFiles: s.MaxFiles, UploadsPerMinute: s.UploadsPerMinute, Concurrent: s.ConcurrentUploads}
}

// Duplicate policies.
const (
	DuplicatesLink   = "link"
	DuplicatesReject = "reject"
)

// Policies for originals.
const (
	ServeAll          = "all"
	ServeVariantsOnly = "variants_only"
)

// MakesVariants reports whether files of the category become web-ready under the plan.
func (s Spec) MakesVariants(c storage.Category) bool {
	_, can := storage.MediaTask(c)
	return can && (c != storage.CategoryVideo || s.Transcoding)
}

// WantsImagePreset reports whether a picture gets the preset.
func (s Spec) WantsImagePreset(name string) bool {
	return len(s.ImagePresets) == 0 || slices.Contains(s.ImagePresets, name)
}

// Encode gives the JSON that is stored.
func (s Spec) Encode() (string, error) {
	b, err := json.Marshal(s)
	return string(b), err
}

// PolicyFor refines the configured categories and limits by a plan. base is not changed.
func PolicyFor(base storage.Policy, s Spec) storage.Policy {
	p := base
	p.PDFActiveContent = s.PDFActiveContent
	p.RejectDuplicates = s.Duplicates == DuplicatesReject
	p.UpgradeURL = s.UpgradeURL
	p.VariantsOnly = s.Serve == ServeVariantsOnly
	p.Categories = maps.Clone(base.Categories)
	for name, c := range p.Categories {
		if len(s.Categories) > 0 && !slices.Contains(s.Categories, name) {
			delete(p.Categories, name)
			continue
		}
		if limit, ok := s.MaxBytes[name]; ok && limit < c.MaxBytes {
			c.MaxBytes = limit
			p.Categories[name] = c
		}
	}
	return p
}
