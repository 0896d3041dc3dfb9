package admin

import (
	"context"
	"fmt"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// Asset is a file of a tenant as operators see it: what it is and what the scan said, not what is in it.
type Asset struct {
	ID        string             `json:"id"`
	Name      string             `json:"name"`
	State     storage.AssetState `json:"state"`
	Category  storage.Category   `json:"category"`
	MediaType string             `json:"media_type"`
	Size      int64              `json:"size"`
	SHA256    string             `json:"sha256"`
	// Scan is the verdict, Signature what was found.
	Scan      storage.ScanStatus `json:"scan"`
	Signature string             `json:"signature"`
	CreatedAt time.Time          `json:"created_at"`
}

// Assets lists the files of a tenant that are not deleted, those of one state unless it is empty, newest first: at most limit
// of those older than the asset `before`.
func (a Admin) Assets(ctx context.Context, tenant string, state storage.AssetState, before string, limit int) ([]Asset, error) {
	id, err := a.tenantID(ctx, tenant)
	if err != nil {
		return nil, err
	}
	rows, err := a.DB.Tenant(ctx, id).Assets(meta.AssetFilter{State: state}, before, limit)
	if err != nil {
		return nil, fmt.Errorf("list assets: %w", err)
	}
	out := make([]Asset, 0, len(rows))
	for _, r := range rows {
		out = append(out, Asset{
			ID: r.ID, Name: r.Name, State: r.State, Category: r.Category, MediaType: r.MediaType, Size: r.Size, SHA256: r.SHA256,
			Scan: r.Blob.ScanStatus, Signature: r.Blob.ScanSignature, CreatedAt: r.CreatedAt.Time(),
		})
	}
	return out, nil
}
