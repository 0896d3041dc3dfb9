package meta

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"regexp"
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

	// The rest is about the blob. Signature is the whole name of what was found.
	Scan      storage.ScanStatus  `json:"scan,omitempty"`
	Media     storage.MediaStatus `json:"media,omitempty"`
	Signature string              `json:"signature,omitempty"`
	Damaged   *bool               `json:"damaged,omitempty"`
}

// Empty reports whether it narrows nothing.
func (s AssetSearch) Empty() bool { return s == AssetSearch{} }

const (
	// fewBlobs is how many blobs may match what is asked of them for a list to begin with them, all of them, and not with the
	// newest assets: looking their assets up takes some 100 ms on PostgreSQL.
	fewBlobs = 10_000
	// nearBlobs is how many of the newest assets are asked for their blobs first, for a page of at most nearPage.
	nearBlobs, nearPage = 8_000, 1_001
	// nearWindow is how many assets are looked at for a keyword before an index of names is asked, which knows no order.
	nearWindow = 2_000
	// farWindow is how many are looked at where there is no such index, unless Config says otherwise.
	farWindow = 200_000
)

// SearchAssets lists files of all tenants, newest first: at most limit of those older than the asset `before`. Those that are
// deleted are in it only when that state is asked for.
//
// There is no one statement for it that a database plans well: where a filter on blobs matches little, the list must begin
// with the blobs, and where it matches much, with the newest assets, and what is little is not known from statistics, least
// of all for two filters at once. So it is asked first, up to a bound, and each way is written so that it can only be
// taken as it is meant.
func (db *DB) SearchAssets(ctx context.Context, s AssetSearch, before string, limit int) ([]Asset, error) {
	return assetQuestion{db: db, g: db.g.WithContext(ctx), AssetSearch: s, before: before}.answer(limit)
}

// SearchCounted is SearchAssets over what CountAssets has counted and nothing older: files not below the floor, which is
// count.Oldest.
func (db *DB) SearchCounted(ctx context.Context, s AssetSearch, before, floor string, limit int) ([]Asset, error) {
	return assetQuestion{db: db, g: db.g.WithContext(ctx), AssetSearch: s, before: before, floor: floor, counted: true}.answer(limit)
}

func (q assetQuestion) answer(limit int) ([]Asset, error) {
	if q.Query != "" {
		return q.byKeyword(limit)
	}
	if near, err := q.nearby(limit); err != nil || len(near) == limit {
		return near, err
	}
	source, args, err := q.source()
	if err != nil {
		return nil, err
	}
	return q.take(source, args, limit)
}

// assetQuestion is one search.
type assetQuestion struct {
	AssetSearch
	db     *DB
	g      *gorm.DB
	before string
	// counted is set for a count and for the run over it, which must find the same; floor is the lowest id that may be found.
	counted bool
	floor   string
	// counting is set for a count.
	counting bool
}

func (q assetQuestion) take(source string, args []any, limit int) ([]Asset, error) {
	var out []Asset
	err := q.g.Raw(source+" ORDER BY a.id DESC LIMIT ?", append(args, limit)...).Scan(&out).Error
	return out, err
}

// columns are what is read of each file: a count of thousands needs no more than whose it is.
func (q assetQuestion) columns() string {
	if q.counting {
		return "a.id, a.tenant_id"
	}
	return "a.*"
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

// blobConds are the conditions on blobs b.
func (q assetQuestion) blobConds() conds {
	var c conds
	if q.Scan != "" {
		c.add("b.scan_status = ?", q.Scan)
	}
	if q.Media != "" {
		c.add("b.media_status = ?", q.Media)
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

// nearby looks for what is asked of blobs among the newest assets: what is frequent is found there, at little cost. A page of
// a count is larger than that, and is not looked for.
func (q assetQuestion) nearby(limit int) ([]Asset, error) {
	a, b := q.assetConds(), q.blobConds()
	if len(b.parts) == 0 || q.SHA256 != "" || limit > nearPage {
		return nil, nil
	}
	return q.take("SELECT "+q.columns()+" FROM (SELECT * FROM assets a WHERE "+a.where()+" ORDER BY a.id DESC LIMIT ?) AS a WHERE "+ofBlob(b),
		append(append(a.args, nearBlobs), b.args...), limit)
}

// ofBlob is what is asked of an asset's blob, for each asset on the way: a subquery like this is not made a join of.
func ofBlob(b conds) string {
	return "(SELECT CASE WHEN " + b.where() + " THEN 1 ELSE 0 END FROM blobs b WHERE b.tenant_id = a.tenant_id AND b.sha256 = a.sha256) = 1"
}

// source is the statement without its order and limit, on assets a.
func (q assetQuestion) source() (string, []any, error) {
	a, b := q.assetConds(), q.blobConds()
	if len(b.parts) == 0 {
		return "SELECT " + q.columns() + " FROM assets a WHERE " + a.where(), a.args, nil
	}
	if q.SHA256 == "" {
		few, err := q.few(b)
		if err != nil {
			return "", nil, err
		}
		if few {
			return q.fromBlobs(a, b)
		}
	}
	sql := "SELECT " + q.columns() + " FROM assets a WHERE " + a.where() + " AND " + ofBlob(b)
	return sql, append(a.args, b.args...), nil
}

// few reports whether at most fewBlobs match.
func (q assetQuestion) few(b conds) (bool, error) {
	var n int64
	err := q.g.Raw("SELECT COUNT(*) FROM (SELECT 1 FROM blobs b WHERE "+b.where()+" LIMIT ?) AS matching", append(b.args, fewBlobs+1)...).Scan(&n).Error
	return n <= fewBlobs, err
}

// fromBlobs reads the matching blobs first, and of each its assets.
func (q assetQuestion) fromBlobs(a, b conds) (string, []any, error) {
	args := append(append([]any{}, b.args...), a.args...)
	const same = "a.tenant_id = m.tenant_id AND a.sha256 = m.sha256"
	switch q.db.dialect {
	case Postgres:
		// OFFSET 0 keeps the inner query what it is: a look into the index for each blob, not a join of two tables.
		return "WITH m AS MATERIALIZED (SELECT b.tenant_id, b.sha256 FROM blobs b WHERE " + b.where() + ") SELECT " + q.columns() + " FROM m CROSS JOIN LATERAL" +
			" (SELECT * FROM assets a WHERE " + same + " OFFSET 0) AS a WHERE " + a.where(), args, nil
	case SQLite:
		return "SELECT " + q.columns() + " FROM (SELECT b.tenant_id, b.sha256 FROM blobs b WHERE " + b.where() + " LIMIT -1) AS m CROSS JOIN assets a ON " + same +
			" WHERE " + a.where(), args, nil
	case MySQL:
	}
	return "SELECT " + q.columns() + " FROM (SELECT b.tenant_id, b.sha256 FROM blobs b WHERE " + b.where() + ") AS m STRAIGHT_JOIN assets a ON " + same +
		" WHERE " + a.where(), args, nil
}

// digestStart is what can begin a digest, idStart what can begin an id and is long enough to mean one.
var (
	digestStart = regexp.MustCompile(`^[0-9a-f]{6,64}$`)
	idStart     = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f-]{0,27})?$`)
)

// byKeyword looks for the keyword. A frequent one is found among the newest assets. A rare one is found by the index of names,
// where there is one and the keyword has the three letters that it needs; else only among the newest farWindow assets that
// the other filters on assets leave, which the operator narrows or moves with them.
func (q assetQuestion) byKeyword(limit int) ([]Asset, error) {
	near, err := q.within(nearWindow, limit)
	if err != nil || len(near) == limit {
		return near, err
	}
	indexed, err := q.namesIndexed()
	if err != nil {
		return nil, err
	}
	if !indexed || len([]rune(q.Query)) < 3 {
		window := q.db.farWindow
		if q.floor != "" {
			window = math.MaxInt32 // the floor bounds it: a window from here would end elsewhere than that of the count
		}
		far, err := q.within(window, limit)
		if err != nil || q.counted {
			return far, err // ids and digests of older files would make the floor lie below the window
		}
		more, err := q.beginning(limit)
		return newest(far, more, limit), err
	}
	a := q.assetConds()
	blob, args := q.blobFilter()
	// Materialized, so that the index of names is asked and nothing else is tried first.
	named, err := q.take("WITH m AS MATERIALIZED (SELECT * FROM assets WHERE name_folded LIKE ? ESCAPE '!') SELECT "+q.columns()+" FROM m a WHERE "+
		a.where()+blob, append(append([]any{q.pattern()}, a.args...), args...), limit)
	if err != nil {
		return nil, err
	}
	more, err := q.beginning(limit)
	return newest(named, more, limit), err
}

func (q assetQuestion) pattern() string { return "%" + escapeLike(foldName(q.Query)) + "%" }

// blobFilter is what is asked of an asset's blob as a condition that follows others.
func (q assetQuestion) blobFilter() (string, []any) {
	b := q.blobConds()
	if len(b.parts) == 0 {
		return "", nil
	}
	return " AND EXISTS (SELECT 1 FROM blobs b WHERE b.tenant_id = a.tenant_id AND b.sha256 = a.sha256 AND " + b.where() + ")", b.args
}

// within looks for the keyword among the newest assets that the filters on assets leave.
func (q assetQuestion) within(window, limit int) ([]Asset, error) {
	a := q.assetConds()
	blob, args := q.blobFilter()
	all := append(append([]any{}, a.args...), window, q.pattern())
	match := "a.name_folded LIKE ? ESCAPE '!'"
	word := strings.ToLower(q.Query)
	if digestStart.MatchString(word) {
		match, all = match+" OR a.sha256 LIKE ?", append(all, word+"%")
	}
	if idStart.MatchString(word) {
		match, all = match+" OR a.id LIKE ?", append(all, word+"%")
	}
	return q.take("SELECT "+q.columns()+" FROM (SELECT * FROM assets a WHERE "+a.where()+" ORDER BY a.id DESC LIMIT ?) AS a WHERE ("+match+")"+blob,
		append(all, args...), limit)
}

// beginning finds assets whose digest or id begins with the keyword. Both have an index, and a "g" comes after all they are made of.
func (q assetQuestion) beginning(limit int) ([]Asset, error) {
	word := strings.ToLower(q.Query)
	var out []Asset
	for _, start := range []struct {
		pattern *regexp.Regexp
		column  string
	}{{digestStart, "a.sha256"}, {idStart, "a.id"}} {
		if !start.pattern.MatchString(word) {
			continue
		}
		a := q.assetConds()
		a.add(start.column+" >= ? AND "+start.column+" < ?", word, word+"g")
		blob, args := q.blobFilter()
		some, err := q.take("SELECT "+q.columns()+" FROM assets a WHERE "+a.where()+blob, append(a.args, args...), limit)
		if err != nil {
			return nil, err
		}
		out = newest(out, some, limit)
	}
	return out, nil
}

// newest merges two lists that are newest first, and leaves out what is in both.
func newest(a, b []Asset, limit int) []Asset {
	var out []Asset
	for len(out) < limit && len(a)+len(b) > 0 {
		switch {
		case len(b) == 0 || len(a) > 0 && a[0].ID > b[0].ID:
			out, a = append(out, a[0]), a[1:]
		case len(a) > 0 && a[0].ID == b[0].ID:
			a = a[1:]
		default:
			out, b = append(out, b[0]), b[1:]
		}
	}
	return out
}

// namesIndexed reports whether the database could make an index of names for keywords.
func (q assetQuestion) namesIndexed() (bool, error) {
	if q.db.dialect != Postgres {
		return false, nil
	}
	var n int64
	err := q.g.Raw("SELECT COUNT(*) FROM pg_class WHERE oid = to_regclass('assets_name_trgm')").Scan(&n).Error
	return n > 0, err
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
		q := assetQuestion{db: db, g: db.g.WithContext(ctx), AssetSearch: s, before: out.Oldest, counted: true, counting: true}
		page, err := q.answer(want)
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
