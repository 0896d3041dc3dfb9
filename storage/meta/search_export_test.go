package meta

import "context"

// SearchAssetsWithin is SearchAssets with bounds so small that a few rows go each way of it.
func (db *DB) SearchAssetsWithin(ctx context.Context, s AssetSearch, before string, limit, few, many, near int) ([]Asset, error) {
	return db.ask(ctx, assetQuestion{AssetSearch: s, before: before, searchBounds: searchBounds{few: few, many: many, near: near}}, limit)
}
