package meta

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"gorm.io/gorm"

	"gatehouse/storage"
)

// AssetSearch narrows the files of all tenants; zero fields do not. As JSON it is kept with a BulkRun.
type AssetSearch struct {
	TenantID string             `json:"tenant_id,omitempty"`
	State    storage.AssetState `json:"state,omitempty"`
	Category storage.Category   `json:"category,omitempty"`
	// Since and Until bound when it was uploaded: from Since on, before Until.
	Since Stamp `json:"since,omitempty"`
	Until Stamp `json:"until,omitempty"`
	// SHA256 is a whole digest.
	SHA256 string `json:"sha256,omitempty"`
	// Query is looked for in the name, whatever its case, and at the beginning of id and digest.
	Query string `json:"query,omitempty"`

	// The rest is about the blob. With Scan or Media, Category is that of the file and of the blob: see blobConds. Signature is the whole name of what was found.
	Scan      storage.ScanStatus  `json:"scan,omitempty"`
	Media     storage.MediaStatus `json:"media,omitempty"`
	Signature string              `json:"signature,omitempty"`
	Damaged   *bool               `json:"damaged,omitempty"`
}

// Empty reports whether it narrows nothing.
func (s AssetSearch) Empty() bool { return s == AssetSearch{} }

// searchBounds say when a search goes which way. A look from a blob to its assets, or from an asset to its blob, takes PostgreSQL
// some 5 µs when nothing else runs, so that a page of 50 among a million is found from either side at about the same cost where
// 7,000 match.
type searchBounds struct {
	// few is how many blobs may match what is asked of them for a list to begin with them, all of them, and not with the newest
	// assets; many is how many may where the newest assets do not fill a page.
	few, many int
	// near is how many of the newest assets are asked for their blobs first, where more than a few blobs match.
	near int
}

var defaultBounds = searchBounds{few: 6_000, many: 200_000, near: 10_000}

// SearchAssets lists files of all tenants, newest first: at most limit of those older than the asset `before`. Those that are
// deleted are in it only when that state is asked for.
//
// There is no one statement for it that a database plans well: where a filter on blobs matches little, the list must begin
// with the blobs, and where it matches much, with the newest assets, and what is little is not known from statistics, least
// of all for two filters at once. So it is asked first, up to a bound, and each way is written so that it can only be
// taken as it is meant. What one index answers is never looked up in a row: a list of 25,000 blobs would be a list of 50,000
// pages.
func (db *DB) SearchAssets(ctx context.Context, s AssetSearch, before string, limit int) ([]Asset, error) {
	return db.ask(ctx, assetQuestion{AssetSearch: s, before: before, searchBounds: defaultBounds}, limit)
}

// SearchCounted is SearchAssets over what CountAssets has counted and nothing older: files not below the floor, which is
// count.Oldest.
func (db *DB) SearchCounted(ctx context.Context, s AssetSearch, before, floor string, limit int) ([]Asset, error) {
	return db.ask(ctx, assetQuestion{AssetSearch: s, before: before, floor: floor, counted: true, searchBounds: defaultBounds}, limit)
}

func (db *DB) ask(ctx context.Context, q assetQuestion, limit int) ([]Asset, error) {
	var out []Asset
	err := db.planned(ctx, func(g *gorm.DB) (err error) {
		q.db, q.g = db, g
		out, err = q.page(limit)
		return err
	})
	return out, err
}

func (q assetQuestion) page(limit int) ([]Asset, error) {
	a, b := q.assetConds(), q.blobConds()
	switch {
	case q.Query != "":
		return q.byKeyword(limit)
	case len(b.parts) == 0:
		return q.take("SELECT "+q.columns()+" FROM assets a WHERE "+a.where(), a.args, limit)
	case q.SHA256 == "":
		if out, done, err := q.bounded(a, b, limit); err != nil || done {
			return out, err
		}
	}
	sql, args := q.ofBlob(b)
	return q.take("SELECT "+q.columns()+" FROM assets a WHERE "+a.where()+" AND "+sql, append(a.args, args...), limit)
}

// bounded looks for a page in the ways whose cost has a bound; it reports false when there is none.
func (q assetQuestion) bounded(a, b conds, limit int) ([]Asset, bool, error) {
	n, err := q.count("blobs b", b, q.few)
	if err != nil {
		return nil, false, err
	}
	if n <= q.few {
		out, err := q.fromBlobs(a, b, limit)
		return out, true, err
	}
	if limit <= q.near && !q.contrary() {
		sql, args := q.ofBlob(b)
		out, err := q.take("SELECT "+q.columns()+" FROM (SELECT * FROM assets a WHERE "+a.where()+" ORDER BY a.id DESC LIMIT ?) AS a WHERE "+sql,
			append(append(a.args[:len(a.args):len(a.args)], q.near), args...), limit)
		if err != nil || len(out) == limit {
			return out, true, err
		}
		if n, err = q.count("assets a", a, q.near); err != nil || n <= q.near {
			return out, true, err // there are no others
		}
	}
	if n, err = q.count("blobs b", b, q.many); err != nil || n > q.many {
		return nil, false, err
	}
	out, err := q.fromBlobs(a, b, limit)
	return out, true, err
}

// contrary reports whether a state is asked for that the verdict does not give: there are such rows only where something went
// wrong, and none among the newest.
func (q assetQuestion) contrary() bool {
	state, err := storage.StateOf(q.Scan)
	return err == nil && q.Scan != storage.ScanPending && q.State != "" && q.State != storage.AssetDeleted && q.State != state
}

// assetQuestion is one search.
type assetQuestion struct {
	AssetSearch
	searchBounds
	db     *DB
	g      *gorm.DB
	before string
	// counted is set for a count and for the run over it, which must find the same; floor is the lowest id that may be found.
	counted bool
	floor   string
	// counting is set for a count.
	counting bool
}

// columns are what is read of each file: a count of thousands needs no more than whose it is.
func (q assetQuestion) columns() string {
	if q.counting {
		return "a.id, a.tenant_id"
	}
	return "a.*"
}

func (q assetQuestion) take(source string, args []any, limit int) ([]Asset, error) {
	var out []Asset
	err := q.g.Raw(source+" ORDER BY a.id DESC LIMIT ?", append(args, limit)...).Scan(&out).Error
	return out, err
}

// conds collects conditions.
type conds struct {
	parts []string
	args  []any
}

func (c *conds) add(sql string, args ...any) {
	c.parts, c.args = append(c.parts, sql), append(c.args, args...)
}

func (c *conds) where() string {
	if len(c.parts) == 0 {
		return "1 = 1"
	}
	return strings.Join(c.parts, " AND ")
}

// assetConds are the conditions on assets a, but for the keyword.
func (q assetQuestion) assetConds() conds {
	var c conds
	if q.State != "" {
		c.add("a.state = ?", q.State)
	} else {
		c.add("a.state <> ?", storage.AssetDeleted)
	}
	if q.TenantID != "" {
		c.add("a.tenant_id = ?", q.TenantID)
	}
	if q.Category != "" {
		c.add("a.category = ?", q.Category)
	}
	if q.SHA256 != "" {
		c.add("a.sha256 = ?", q.SHA256)
	}
	if q.before != "" {
		c.add("a.id < ?", q.before)
	}
	if q.floor != "" {
		c.add("a.id >= ?", q.floor)
	}
	// Ids are in the order of time, so the index of the list bounds it too; an hour for what differs between the clock of an
	// id and that of its row.
	if q.Since > 0 {
		c.add("a.created_at >= ? AND a.id >= ?", q.Since, firstID(q.Since-idSlack))
	}
	if q.Until > 0 {
		c.add("a.created_at < ? AND a.id < ?", q.Until, firstID(q.Until+idSlack))
	}
	return c
}

const idSlack = Stamp(3600 * 1e6)

// firstID is not above any UUIDv7 of that time or later.
func firstID(at Stamp) string {
	ms := max(0, int64(at)/1000)
	return fmt.Sprintf("%08x-%04x-7000-8000-000000000000", (ms>>16)&0xffffffff, ms&0xffff)
}

var (
	scanStatuses  = []storage.ScanStatus{storage.ScanPending, storage.ScanClean, storage.ScanInfected, storage.ScanUnscannable}
	mediaStatuses = []storage.MediaStatus{storage.MediaNone, storage.MediaPending, storage.MediaRunning, storage.MediaDone, storage.MediaFailed}
)

// blobConds are the conditions on blobs b. Those on its statuses name all that come first in their index (blobs_status).
func (q assetQuestion) blobConds() conds {
	var c conds
	switch {
	case q.Scan != "":
		c.add("b.scan_status = ?", q.Scan)
	case q.Media != "":
		c.add("b.scan_status IN ?", scanStatuses)
	}
	switch {
	case q.Media != "":
		c.add("b.media_status = ?", q.Media)
	case q.Scan != "" && q.Category != "":
		c.add("b.media_status IN ?", mediaStatuses)
	}
	if (q.Scan != "" || q.Media != "") && q.Category != "" {
		// A file has the category that its extension has, and so has a blob of the file that came first with these bytes. Bytes that
		// belong to one category are found in another one only as release artifacts, which may be anything. Without this, a pair
		// that never meets (documents have no media job) would be looked for in all files of that category.
		if q.Category != storage.CategoryRelease {
			c.add("b.category IN ?", []storage.Category{q.Category, storage.CategoryRelease})
		}
	}
	if q.Signature != "" {
		c.add("b.scan_signature = ? AND b.scan_signature <> ''", q.Signature)
	}
	if q.Damaged != nil && *q.Damaged {
		c.add("b.damaged_at > 0 AND b.damage <> ''")
	}
	if q.Damaged != nil && !*q.Damaged {
		c.add("b.damage = ''")
	}
	if len(c.parts) > 0 && q.TenantID != "" {
		c.add("b.tenant_id = ?", q.TenantID)
	}
	return c
}

// bytewise compares keys as the index blobs_bytes does, which has all that is asked of a blob.
func (q assetQuestion) bytewise(a, b string) string {
	if q.db.dialect == Postgres {
		return fmt.Sprintf(`%[2]s.tenant_id COLLATE "C" = %[1]s.tenant_id AND %[2]s.sha256 COLLATE "C" = %[1]s.sha256`, a, b)
	}
	return fmt.Sprintf("%[2]s.tenant_id = %[1]s.tenant_id AND %[2]s.sha256 = %[1]s.sha256", a, b)
}

// ofBlob is what is asked of an asset's blob, for each asset on the way: a subquery like this is not made a join of.
func (q assetQuestion) ofBlob(b conds) (string, []any) {
	return "(SELECT CASE WHEN " + b.where() + " THEN 1 ELSE 0 END FROM blobs b WHERE " + q.bytewise("a", "b") + ") = 1", b.args
}

// count counts up to most, and one more.
func (q assetQuestion) count(from string, c conds, most int) (int, error) {
	var n int
	err := q.g.Raw("SELECT COUNT(*) FROM (SELECT 1 FROM "+from+" WHERE "+c.where()+" LIMIT ?) AS matching",
		append(c.args[:len(c.args):len(c.args)], most+1)...).Scan(&n).Error
	return n, err
}

// fromBlobs reads the matching blobs first, and of each its assets.
func (q assetQuestion) fromBlobs(a, b conds, limit int) ([]Asset, error) {
	args := append(append(append([]any{}, b.args...), a.args...), limit)
	const same = "a.tenant_id = m.tenant_id AND a.sha256 = m.sha256"
	var keys string
	switch q.db.dialect {
	case Postgres:
		// OFFSET 0 keeps the inner query what it is: a look into the index for each blob, not a join of two tables.
		keys = "WITH m AS MATERIALIZED (SELECT b.tenant_id, b.sha256 FROM blobs b WHERE " + b.where() + ") SELECT a.id FROM m CROSS JOIN LATERAL" +
			" (SELECT id FROM assets a WHERE " + same + " AND " + a.where() + " OFFSET 0) AS a"
	case SQLite:
		keys = "SELECT a.id FROM (SELECT b.tenant_id, b.sha256 FROM blobs b WHERE " + b.where() + " LIMIT -1) AS m CROSS JOIN assets a ON " + same +
			" WHERE " + a.where()
	case MySQL:
		keys = "SELECT a.id FROM (SELECT b.tenant_id, b.sha256 FROM blobs b WHERE " + b.where() + ") AS m STRAIGHT_JOIN assets a ON " + same +
			" WHERE " + a.where()
	}
	var ids []string
	if err := q.g.Raw(keys+" ORDER BY a.id DESC LIMIT ?", args...).Scan(&ids).Error; err != nil {
		return nil, err
	}
	var out []Asset
	for part := range slices.Chunk(ids, statBatch) {
		var some []Asset
		if err := q.g.Table("assets a").Select(q.columns()).Where("a.id IN ?", part).Order("a.id DESC").Find(&some).Error; err != nil {
			return nil, err
		}
		out = append(out, some...)
	}
	return out, nil
}

// TenantCount is how many there are of a tenant.
type TenantCount struct {
	TenantID string
	Count    int64
}

// AssetCount is how many files a search finds, and between which ids.
type AssetCount struct {
	Tenants []TenantCount
	Total   int64
	// Newest and Oldest are the highest and the lowest id that was counted; empty where there was none.
	Newest, Oldest string
}

// CountAssets counts by tenant what SearchAssets lists; it stops at most of them in all. For a keyword without an index of
// names only the names in the window count, not what begins with it further back.
func (db *DB) CountAssets(ctx context.Context, s AssetSearch, most int) (AssetCount, error) {
	var out AssetCount
	place := map[string]int{}
	for left := most; left > 0; {
		want := min(left, countPage)
		page, err := db.ask(ctx, assetQuestion{AssetSearch: s, before: out.Oldest, counted: true, counting: true, searchBounds: defaultBounds}, want)
		if err != nil {
			return AssetCount{}, err
		}
		for _, a := range page {
			at, known := place[a.TenantID]
			if !known {
				at = len(out.Tenants)
				place[a.TenantID], out.Tenants = at, append(out.Tenants, TenantCount{TenantID: a.TenantID})
			}
			out.Tenants[at].Count++
		}
		if len(page) > 0 {
			out.Newest, out.Oldest = cmp.Or(out.Newest, page[0].ID), page[len(page)-1].ID
		}
		left, out.Total = left-len(page), out.Total+int64(len(page))
		if len(page) < want {
			break
		}
	}
	return out, nil
}

// countPage is how many assets a count reads at once.
const countPage = 20_000
