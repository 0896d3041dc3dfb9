package meta

import (
	"math"
	"regexp"
	"strings"
)

const (
	// nearWindow is how many assets are looked at for a keyword before an index of names is asked, which knows no order.
	nearWindow = 2_000
	// farWindow is how many are looked at where there is no such index, unless Config says otherwise.
	farWindow = 200_000
)

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
