package assets

import (
	"time"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// Asset is the JSON of an asset.
type Asset struct {
	ID        string             `json:"id"`
	Name      string             `json:"name"`
	Category  storage.Category   `json:"category"`
	MediaType string             `json:"media_type"`
	Size      int64              `json:"size"`
	SHA256    string             `json:"sha256"`
	State     storage.AssetState `json:"state"`
	Scan      Scan               `json:"scan"`
	Media     Media              `json:"media"`
	// Damage says what is wrong with the stored bytes; null when nothing is.
	Damage    *storage.Damage `json:"damage"`
	Duplicate bool            `json:"duplicate"`
	CreatedAt time.Time       `json:"created_at"`
	UpdatedAt time.Time       `json:"updated_at"`
}

// Scan says why the asset is in its state.
type Scan struct {
	Status    storage.ScanStatus `json:"status"`
	Signature *string            `json:"signature"`
	Engine    *string            `json:"engine"`
	Database  *string            `json:"database"`
	ScannedAt *time.Time         `json:"scanned_at"`
}

// Media says what is web-ready, and enough of the picture or video to draw a placeholder or a player.
type Media struct {
	Status   storage.MediaStatus `json:"status"`
	Progress float64             `json:"progress"`
	// Error is a sentence in the language of the request, Reason its slug.
	Error  *string `json:"error"`
	Reason *string `json:"reason"`
	// Width and Height are in pixels, as shown.
	Width         *int64  `json:"width"`
	Height        *int64  `json:"height"`
	DominantColor *string `json:"dominant_color"`
	ThumbHash     *string `json:"thumbhash"`
	// Duration is in seconds.
	Duration   *float64  `json:"duration"`
	FPS        *float64  `json:"fps"`
	VideoCodec *string   `json:"video_codec"`
	AudioCodec *string   `json:"audio_codec"`
	Variants   []Variant `json:"variants"`
}

// Variant is one web-ready form of the asset.
type Variant struct {
	Preset    string `json:"preset"`
	MediaType string `json:"media_type"`
	Width     int64  `json:"width"`
	Height    int64  `json:"height"`
	Size      int64  `json:"size"`
}

func viewOf(v meta.AssetView, l storage.Locale) Asset {
	out := Asset{
		ID: v.ID, Name: v.Name, Category: v.Category, MediaType: v.MediaType, Size: v.Size, SHA256: v.SHA256,
		State: v.State, Damage: optional(v.Blob.Damage), Duplicate: v.Duplicate, CreatedAt: v.CreatedAt.Time(), UpdatedAt: max(v.UpdatedAt, v.Blob.UpdatedAt).Time(),
		Scan: Scan{
			Status: v.Blob.ScanStatus, Signature: optional(v.Blob.ScanSignature),
			Engine: optional(v.Blob.ScanEngine), Database: optional(v.Blob.ScanDatabase),
		},
		Media: mediaOf(v, l),
	}
	if at := v.Blob.ScannedAt.Time(); !at.IsZero() {
		out.Scan.ScannedAt = &at
	}
	return out
}

// mediaOf tells nothing of the content of what is not available.
func mediaOf(v meta.AssetView, l storage.Locale) Media {
	b := v.Blob
	m := Media{
		Status: b.MediaStatus, Progress: b.MediaProgress,
		Error: optional(mediaSentence(b.MediaReason, b.MediaError, l)), Reason: optional(b.MediaReason), Variants: []Variant{},
	}
	if v.State != storage.AssetAvailable {
		return m
	}
	if b.DominantColor != "" { // before the media job has looked, the size is the stored one, which may lie on its side
		m.Width, m.Height = optional(b.Width), optional(b.Height)
	}
	m.DominantColor, m.ThumbHash = optional(b.DominantColor), optional(b.ThumbHash)
	m.Duration, m.FPS = optional(float64(b.DurationMS)/1000), optional(b.FPS)
	m.VideoCodec, m.AudioCodec = optional(b.VideoCodec), optional(b.AudioCodec)
	for _, x := range v.Variants {
		m.Variants = append(m.Variants, Variant{x.Preset, x.MediaType, x.Width, x.Height, x.Size})
	}
	return m
}

// mediaSentence says why there are no variants. stored is what the worker wrote, in English: it is for reasons that only
// newer workers know.
func mediaSentence(slug, stored string, l storage.Locale) string {
	if r, ok := storage.MediaReason(slug); ok {
		return r.In(l)
	}
	return stored
}

// optional makes null of what is not known.
func optional[T comparable](v T) *T {
	var none T
	if v == none {
		return nil
	}
	return &v
}
