package quota

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"gatehouse/storage"
)

// Spec is what a plan refines; it is stored as JSON with the plan.
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
	// UpgradeURL is shown when the quota is exceeded.
	UpgradeURL string `json:"upgrade_url,omitempty"`
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

// ParseSpec reads what Encode wrote.
func ParseSpec(raw string) (Spec, error) {
	var s Spec
	if err := json.Unmarshal([]byte(raw), &s); err != nil {
		return s, fmt.Errorf("plan spec: %w", err)
	}
	return s, nil
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
