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
	Duplicate bool               `json:"duplicate"`
	CreatedAt time.Time          `json:"created_at"`
	UpdatedAt time.Time          `json:"updated_at"`
}

// Scan says why the asset is in its state.
type Scan struct {
	Status    storage.ScanStatus `json:"status"`
	Signature *string            `json:"signature"`
	Engine    *string            `json:"engine"`
	Database  *string            `json:"database"`
	ScannedAt *time.Time         `json:"scanned_at"`
}

// Media says what is web-ready.
type Media struct {
	Status   storage.MediaStatus `json:"status"`
	Progress float64             `json:"progress"`
	Error    *string             `json:"error"`
	Variants []Variant           `json:"variants"`
}

// Variant is one web-ready form of the asset.
type Variant struct {
	Preset    string `json:"preset"`
	MediaType string `json:"media_type"`
	Width     int64  `json:"width"`
	Height    int64  `json:"height"`
	Size      int64  `json:"size"`
}

func viewOf(v meta.AssetView) Asset {
	out := Asset{
		ID: v.ID, Name: v.Name, Category: v.Category, MediaType: v.MediaType, Size: v.Size, SHA256: v.SHA256,
		State: v.State, Duplicate: v.Duplicate, CreatedAt: v.CreatedAt.Time(), UpdatedAt: max(v.UpdatedAt, v.Blob.UpdatedAt).Time(),
		Scan: Scan{
			Status: v.Blob.ScanStatus, Signature: optional(v.Blob.ScanSignature),
			Engine: optional(v.Blob.ScanEngine), Database: optional(v.Blob.ScanDatabase),
		},
		Media: Media{
			Status: v.Blob.MediaStatus, Progress: v.Blob.MediaProgress, Error: optional(v.Blob.MediaError),
			Variants: []Variant{},
		},
	}
	if at := v.Blob.ScannedAt.Time(); !at.IsZero() {
		out.Scan.ScannedAt = &at
	}
	if v.State == storage.AssetAvailable {
		for _, x := range v.Variants {
			out.Media.Variants = append(out.Media.Variants, Variant{x.Preset, x.MediaType, x.Width, x.Height, x.Size})
		}
	}
	return out
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
