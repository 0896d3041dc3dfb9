package meta

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"gatehouse/storage"
)

// BlobLine is what a comparison with the store needs of a blob's row.
type BlobLine struct {
	TenantID string
	SHA256   string
	Size     int64
	Zone     storage.Zone
	Category storage.Category
	Refs     int64
	Sweeping bool
	Damage   storage.Damage
	Revision int64
}

// VariantLine is what it needs of a variant's.
type VariantLine struct {
	TenantID string
	SHA256   string
	Preset   string
	KeyTag   string
	Ext      string
	Size     int64
}

// Key is where the variant's object lies in the clean zone.
func (v VariantLine) Key() string {
	return storage.VariantKey(v.TenantID, v.SHA256, v.Preset, v.KeyTag, v.Ext)
}

// RowsAfter says from where on rows are read, in the byte order of their keys. With Only, those of Tenant alone.
type RowsAfter struct {
	Tenant, SHA256, Preset string
	Only                   bool
}

// afterLast is greater than the name of any preset.
const afterLast = "~"

// AfterFamily goes on behind a blob and all its variants.
func AfterFamily(tenantID, sha256 string) RowsAfter {
	return RowsAfter{Tenant: tenantID, SHA256: sha256, Preset: afterLast}
}

// where is the condition and the order that each kind of database answers with one range of one index. MySQL reads the
// whole table for a comparison of row values, SQLite sorts for an OR; PostgreSQL orders by bytes only where it is told to.
func (a RowsAfter) where(d Dialect, columns ...string) (where, order string, args []any) {
	values := []any{a.Tenant, a.SHA256, a.Preset}[:len(columns)]
	if d == Postgres {
		for i, c := range columns {
			columns[i] = c + ` COLLATE "C"`
		}
	}
	order = columns[0]
	for _, c := range columns[1:] {
		order += ", " + c
	}
	if a.Only {
		where, args = columns[0]+" = ? AND ", []any{a.Tenant}
		columns, values = columns[1:], values[1:]
	}
	w, more := beyond(d, columns, values)
	return where + "(" + w + ")", order, append(args, more...)
}

func beyond(d Dialect, columns []string, values []any) (where string, args []any) {
	if d != MySQL {
		list, marks := columns[0], "?"
		for _, c := range columns[1:] {
			list, marks = list+", "+c, marks+", ?"
		}
		return fmt.Sprintf("(%s) > (%s)", list, marks), values
	}
	where, args = columns[0]+" > ?", values[:1:1]
	if len(columns) > 1 {
		inner, more := beyond(d, columns[1:], values[1:])
		where += " OR " + columns[0] + " = ? AND (" + inner + ")"
		args = append(append(args, values[0]), more...)
	}
	return where, args
}

// BlobLines reads the next blobs in the byte order of their keys.
func (db *DB) BlobLines(ctx context.Context, a RowsAfter, limit int) ([]BlobLine, error) {
	where, order, args := a.where(db.dialect, "tenant_id", "sha256")
	out := make([]BlobLine, 0, limit)
	err := db.lines(ctx, `SELECT tenant_id, sha256, size, zone, category, refs, sweeping, damage, revision FROM blobs WHERE `+where+
		` ORDER BY `+order+` LIMIT ?`, append(args, limit), func(rows *sql.Rows) error {
		var b BlobLine
		err := rows.Scan(&b.TenantID, &b.SHA256, &b.Size, &b.Zone, &b.Category, &b.Refs, &b.Sweeping, &b.Damage, &b.Revision)
		out = append(out, b)
		return err
	})
	return out, err
}

// VariantLines reads the next variants in the byte order of their blobs' keys and their presets.
func (db *DB) VariantLines(ctx context.Context, a RowsAfter, limit int) ([]VariantLine, error) {
	where, order, args := a.where(db.dialect, "tenant_id", "sha256", "preset")
	out := make([]VariantLine, 0, limit)
	err := db.lines(ctx, `SELECT tenant_id, sha256, preset, key_tag, ext, size FROM variants WHERE `+where+
		` ORDER BY `+order+` LIMIT ?`, append(args, limit), func(rows *sql.Rows) error {
		var v VariantLine
		err := rows.Scan(&v.TenantID, &v.SHA256, &v.Preset, &v.KeyTag, &v.Ext, &v.Size)
		out = append(out, v)
		return err
	})
	return out, err
}

// lines runs a query past gorm's reflection, which costs several times what the query does.
func (db *DB) lines(ctx context.Context, query string, args []any, scan func(*sql.Rows) error) (err error) {
	rows, err := db.g.WithContext(ctx).Raw(query, args...).Rows()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// FamilyRows are the rows of one digest of a tenant, read again because the comparison found something.
type FamilyRows struct {
	Blob     *Blob
	Variants []Variant
	// Assets says that an asset that is not deleted speaks of the digest, Busy that a task about it is open.
	Assets bool
	Busy   bool
}

// Families reads the rows of digests of the tenant.
func (t Tenant) Families(digests []string) (map[string]*FamilyRows, error) {
	out := make(map[string]*FamilyRows, len(digests))
	for _, d := range digests {
		out[d] = &FamilyRows{}
	}
	blobs, err := t.BlobsIn(digests)
	if err != nil {
		return nil, err
	}
	for d, b := range blobs {
		out[d].Blob = &b
	}
	variants, err := t.VariantsIn(digests)
	if err != nil {
		return nil, err
	}
	for _, v := range variants {
		out[v.SHA256].Variants = append(out[v.SHA256].Variants, v)
	}
	var spoken, busy []string
	err = t.rows(&Asset{}).Where("sha256 IN ? AND state <> ?", digests, storage.AssetDeleted).Distinct("sha256").Pluck("sha256", &spoken).Error
	if err != nil {
		return nil, err
	}
	err = t.rows(&Task{}).Where("subject IN ? AND state IN ?", digests, []storage.TaskState{storage.TaskQueued, storage.TaskRunning}).
		Distinct("subject").Pluck("subject", &busy).Error
	if err != nil {
		return nil, err
	}
	for _, d := range spoken {
		out[d].Assets = true
	}
	for _, d := range busy {
		out[d].Busy = true
	}
	return out, nil
}

// RowDrift is a difference that rows show among themselves.
type RowDrift struct {
	TenantID string
	SHA256   string `gorm:"column:sha256"`
	// Have is what is written, Truth what the rows add up to; Subject names an asset.
	Have    int64
	Truth   int64
	Subject string
}

// WrongReferences lists blobs whose count of references is not the number of their assets, or which nobody refers to
// without the sweeper being able to know since when. It is one statement, which sees one instant of the database.
func (db *DB) WrongReferences(ctx context.Context, tenants []string, after RowDrift, limit int) ([]RowDrift, error) {
	scope, args := inTenants("", tenants)
	if after.TenantID != "" { // what lies before the page need not be counted again
		scope += " AND (tenant_id > ? OR tenant_id = ? AND sha256 > ?)"
		args = append(args, after.TenantID, after.TenantID, after.SHA256)
	}
	q := `SELECT b.tenant_id, b.sha256, b.refs AS have, COALESCE(a.n, 0) AS truth FROM blobs b LEFT JOIN
		(SELECT tenant_id, sha256, COUNT(*) AS n FROM assets WHERE state <> 'deleted'` + scope + ` GROUP BY tenant_id, sha256) a
		ON a.tenant_id = b.tenant_id AND a.sha256 = b.sha256
		WHERE b.sweeping = ? AND (b.refs <> COALESCE(a.n, 0) OR b.refs = 0 AND b.unreferenced_at = 0)`
	args = append(args, false)
	scope, more := inTenants("b.", tenants)
	return db.rowDrift(ctx, q+scope, append(args, more...), "b.tenant_id", "b.sha256", after, limit)
}

// AssetsAlone lists assets whose blob has no row.
func (db *DB) AssetsAlone(ctx context.Context, tenants []string, after RowDrift, limit int) ([]RowDrift, error) {
	scope, args := inTenants("a.", tenants)
	q := `SELECT a.tenant_id, a.sha256, MIN(a.id) AS subject, COUNT(*) AS truth FROM assets a WHERE a.state <> 'deleted'
		AND NOT EXISTS (SELECT 1 FROM blobs b WHERE b.tenant_id = a.tenant_id AND b.sha256 = a.sha256)`
	return db.rowDrift(ctx, q+scope, args, "a.tenant_id", "a.sha256", after, limit, "GROUP BY a.tenant_id, a.sha256")
}

// rowDrift pages a statement by tenant and digest, in whatever order the database has.
func (db *DB) rowDrift(ctx context.Context, q string, args []any, tenant, sha256 string, after RowDrift, limit int, group ...string) ([]RowDrift, error) {
	q += fmt.Sprintf(" AND (%s > ? OR %s = ? AND %s > ?)", tenant, tenant, sha256)
	for _, g := range group {
		q += " " + g
	}
	order := tenant
	if db.dialect == Postgres {
		// Not to be read from an index: for the sake of the limit PostgreSQL would go through the rows in that order, one
		// by one, although a healthy database has none to list and all have to be looked at (24 s for a million, not 5).
		order += " || ''"
	}
	q += fmt.Sprintf(" ORDER BY %s, %s LIMIT ?", order, sha256)
	var out []RowDrift
	err := db.serially(ctx, func(g *gorm.DB) error {
		return g.Raw(q, append(args, after.TenantID, after.TenantID, after.SHA256, limit)...).Scan(&out).Error
	})
	return out, err
}

// serially keeps PostgreSQL from giving one question to several processes: each of them would count all assets for itself
// (22 s for a million on two cores, not 12), on cores that uploads want.
func (db *DB) serially(ctx context.Context, ask func(*gorm.DB) error) error {
	return db.asking(ctx, "SET LOCAL max_parallel_workers_per_gather = 0", ask)
}

// planned has PostgreSQL plan each question for its very values, and not once for any: a state that a thousand tasks have and one
// that a million have want different ways. Nor is it compiled, which takes longer than a page may.
func (db *DB) planned(ctx context.Context, ask func(*gorm.DB) error) error {
	return db.asking(ctx, "SELECT set_config('plan_cache_mode', 'force_custom_plan', true), set_config('jit', 'off', true)", ask)
}

// asking asks with a setting of PostgreSQL that lasts as long as the questions.
func (db *DB) asking(ctx context.Context, setting string, ask func(*gorm.DB) error) error {
	g := db.g.WithContext(ctx)
	if db.dialect != Postgres {
		return ask(g)
	}
	return g.Transaction(func(tx *gorm.DB) error {
		if err := tx.Exec(setting).Error; err != nil {
			return err
		}
		return ask(tx.Session(&gorm.Session{}))
	}, &sql.TxOptions{ReadOnly: true})
}

// DeadReservations lists reservations that ended longer ago than grace, by the database's clock, by which they were made,
// and hold quota all the same.
func (db *DB) DeadReservations(ctx context.Context, tenants []string, grace time.Duration, after string, limit int) ([]Reservation, error) {
	q := db.g.WithContext(ctx).Where("expires_at < ("+db.dialect.Epoch()+") * 1000000 - ? AND id > ?", grace.Microseconds(), after)
	if tenants != nil {
		q = q.Where("tenant_id IN ?", tenants)
	}
	var out []Reservation
	return out, q.Order("id").Limit(limit).Find(&out).Error
}

func inTenants(table string, tenants []string) (string, []any) {
	if tenants == nil {
		return "", nil
	}
	return " AND " + table + "tenant_id IN ?", []any{tenants}
}

// Sums are what a tenant's rows add up to.
type Sums struct {
	TenantID string
	A, B     int64
	C, D     int64
	Group    string `gorm:"column:grp"`
}

// Marks adds up the rows of those tenants (nil: of all), table by table, and hands each line to add. Rows that somebody
// deleted behind the system's back change the sums, which is why they are made from rows and not from times.
func (db *DB) Marks(ctx context.Context, tenants []string, add func(table string, s Sums)) error {
	for _, m := range []struct{ table, query string }{
		{"tenants", `SELECT id AS tenant_id, used_bytes AS a, used_files AS b,
			CASE WHEN EXISTS (SELECT 1 FROM plans WHERE plans.name = tenants.plan) THEN 0 ELSE 1 END AS c, 0 AS d, '' AS grp FROM tenants WHERE 1 = 1`},
		{"blobs", `SELECT tenant_id, COUNT(*) AS a, SUM(size) AS b, SUM(refs) AS c,
			SUM(CASE WHEN damage = '' THEN 0 ELSE 1 END) AS d, zone AS grp FROM blobs WHERE 1 = 1`},
		{"variants", `SELECT tenant_id, COUNT(*) AS a, SUM(size) AS b, 0 AS c, 0 AS d, '' AS grp FROM variants WHERE 1 = 1`},
		{"assets", `SELECT tenant_id, COUNT(*) AS a, SUM(size) AS b, 0 AS c, 0 AS d, state AS grp FROM assets WHERE 1 = 1`},
	} {
		column, group := "tenant_id", " GROUP BY tenant_id"
		switch m.table {
		case "tenants":
			column, group = "id", ""
		case "blobs":
			group += ", zone"
		case "assets":
			group += ", state"
		}
		var args []any
		q := m.query
		if tenants != nil {
			q, args = q+" AND "+column+" IN ?", []any{tenants}
		}
		err := db.lines(ctx, q+group+" ORDER BY 1, 6", args, func(rows *sql.Rows) error {
			var s Sums
			if err := rows.Scan(&s.TenantID, &s.A, &s.B, &s.C, &s.D, &s.Group); err != nil {
				return err
			}
			add(m.table, s)
			return nil
		})
		if err != nil {
			return fmt.Errorf("add up %s: %w", m.table, err)
		}
	}
	return nil
}

// NotedMarks reads every tenant's mark.
func (db *DB) NotedMarks(ctx context.Context) (map[string]string, error) {
	out := map[string]string{}
	err := db.lines(ctx, `SELECT tenant_id, mark FROM reconcile_marks`, nil, func(rows *sql.Rows) error {
		var id, mark string
		err := rows.Scan(&id, &mark)
		out[id] = mark
		return err
	})
	return out, err
}

// NoteMark remembers a tenant's mark; an empty one forgets it.
func (tx *Tx) NoteMark(tenantID, mark string) error {
	if err := tx.g.Where("tenant_id = ?", tenantID).Delete(&ReconcileMark{}).Error; err != nil || mark == "" {
		return err
	}
	return tx.g.Session(&gorm.Session{}).Create(&ReconcileMark{TenantID: tenantID, Mark: mark}).Error
}
