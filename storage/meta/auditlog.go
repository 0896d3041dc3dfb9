package meta

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"

	"gatehouse/storage"
)

// AuditFilter narrows the audit log; empty fields do not.
type AuditFilter struct {
	TenantID string
	// Action is one action, or all whose names begin with it and a dot: "tenant" is tenant.create and the others.
	Action string
	// ActorKind, ActorID and Role are of who did it.
	ActorKind, ActorID, Role string
	Target                   string
	Result, Code             string
	Address, RequestID       string
	// Since and Until are when the oldest and the newest was written.
	Since, Until Stamp
	// Words must each be one of the record's values: a target, an actor's id, a request, an address, a code, an action or a tenant's
	// id. A word has one or more forms of which one must be found.
	Words [][]string
	// Before is the number of the record before which the list goes on; 0 begins with the newest.
	Before int64
}

// AuditLog lists records newest first, at most limit. Whatever the filter, it walks no more of the log than the shortest of the
// indexes that the filter names, which is what keeps it fast where nothing matches.
func (db *DB) AuditLog(ctx context.Context, f AuditFilter, limit int) ([]AuditRecord, error) {
	var out []AuditRecord
	err := db.planned(ctx, func(g *gorm.DB) (err error) {
		s := auditQuestion{g: g, dialect: db.dialect, filter: f, limit: limit, above: 0, below: math.MaxInt64}
		out, err = s.page()
		return err
	})
	return out, err
}

func (s *auditQuestion) page() ([]AuditRecord, error) {
	if s.filter.Before > 0 {
		s.below = s.filter.Before
	}
	if err := s.bound(); err != nil {
		return nil, err
	}
	legs, err := s.legs()
	if err != nil {
		return nil, err
	}
	ids, err := s.walk(legs)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	var out []AuditRecord
	for part := range slices.Chunk(ids, statBatch) {
		var some []AuditRecord
		if err := s.g.Where("id IN ?", part).Find(&some).Error; err != nil {
			return nil, err
		}
		out = append(out, some...)
	}
	slices.SortFunc(out, func(a, b AuditRecord) int { return cmp.Compare(b.ID, a.ID) })
	return out, nil
}

// AuditRecordBy reads one record; storage.ErrNotFound when there is none.
func (db *DB) AuditRecordBy(ctx context.Context, id int64) (AuditRecord, error) {
	var r AuditRecord
	q := db.g.WithContext(ctx).Where("id = ?", id).Limit(1).Find(&r)
	if q.Error == nil && q.RowsAffected == 0 {
		return r, storage.ErrNotFound
	}
	return r, q.Error
}

// auditQuestion is one question to the audit log. What it finds has numbers of at least above and below below.
type auditQuestion struct {
	g            *gorm.DB
	dialect      Dialect
	filter       AuditFilter
	limit        int
	above, below int64
}

// auditDisorder is how far records may be out of the order of their times: audit.Settles, with room.
const auditDisorder = 10 * time.Minute

// bound makes a range of numbers of the range of time.
func (s *auditQuestion) bound() error {
	number := func(where string, at Stamp, order string) (int64, error) {
		var r AuditRecord
		err := s.g.Select("id").Where(where, at).Order(order).Limit(1).Find(&r).Error
		return r.ID, err
	}
	if s.filter.Since > 0 {
		last, err := number("at < ?", s.filter.Since.Add(-auditDisorder), "at DESC, id DESC")
		if err != nil {
			return err
		}
		s.above = last + 1
	}
	if s.filter.Until > 0 {
		first, err := number("at > ?", s.filter.Until.Add(auditDisorder), "at, id")
		if err != nil {
			return err
		}
		if first > 0 {
			s.below = min(s.below, first)
		}
	}
	return nil
}

// enough entries are as many as any more: they need not be counted.
const enough = 5000

func (f AuditFilter) family(action string) bool {
	return f.Action == "" || f.Action == action || strings.HasPrefix(action, f.Action+".")
}

// worded are the columns in which a word is looked for.
var worded = []string{"tenant_id", "target", "actor_id", "request_id", "address", "code"}

// atOnceLegs bounds the parts of one statement: SQLite takes 500.
const atOnceLegs = 50

// walk gives the highest numbers of all legs together, in falling order.
func (s *auditQuestion) walk(legs []leg) ([]int64, error) {
	var ids []int64
	for part := range slices.Chunk(legs, atOnceLegs) {
		var sql []string
		var args []any
		for _, l := range part {
			q, a := s.sql(l)
			sql, args = append(sql, "SELECT id FROM ("+q+") t"), append(args, a...)
		}
		var some []int64
		if err := s.g.Raw(strings.Join(sql, " UNION ALL "), args...).Scan(&some).Error; err != nil {
			return nil, err
		}
		ids = append(ids, some...)
	}
	slices.SortFunc(ids, func(a, b int64) int { return cmp.Compare(b, a) })
	ids = slices.Compact(ids) // the legs of words may meet
	return ids[:min(len(ids), s.limit)], nil
}

// sql is the walk along one leg, from its end.
func (s *auditQuestion) sql(l leg) (string, []any) {
	var where []string
	var args []any
	and := func(sql string, values ...any) { where, args = append(where, sql), append(args, values...) }
	from, order := "audit_log", "id DESC"
	switch {
	case l.index == nil:
		and("id >= ? AND id < ?", s.above, s.below)
	case s.dialect == Postgres:
		// As a range of the whole index, not as conditions on its columns: for those the planner walks the whole log by its numbers
		// where it takes matches for frequent, which is a guess that two columns that go together make wrong.
		columns, values := []string{l.index.column}, []any{l.value}
		if l.index.byAction {
			columns, values = append(columns, "action"), append(values, l.action)
		}
		columns = append(columns, "id")
		list, marks := strings.Join(columns, ", "), strings.TrimSuffix(strings.Repeat("?, ", len(columns)), ", ")
		and(fmt.Sprintf("(%s) >= (%s) AND (%s) < (%s)", list, marks, list, marks), slices.Concat(values, []any{s.above}, values, []any{s.below})...)
		order = strings.Join(columns, " DESC, ") + " DESC"
	default:
		from += s.hint(*l.index)
		and(l.index.column+" = ?", l.value)
		if l.index.byAction {
			and("action = ?", l.action)
		}
		and("id >= ? AND id < ?", s.above, s.below)
	}
	if l.index != nil && l.index.only != "" {
		and(l.index.only)
	}
	s.narrow(l, and)
	return fmt.Sprintf("SELECT id FROM %s WHERE %s ORDER BY %s LIMIT %d", from, strings.Join(where, " AND "), order, s.limit), args
}

// narrow adds what the leg itself does not see to.
func (s *auditQuestion) narrow(l leg, and func(string, ...any)) {
	for _, x := range auditIndexes {
		if value := s.wanted(x.column); value != "" && (l.index == nil || l.index.column != x.column) {
			and(x.column+" = ?", value)
		}
	}
	if s.filter.Action != "" && (l.index == nil || !l.index.byAction) {
		and("(action = ? OR action LIKE ? ESCAPE '!')", s.filter.Action, escapeLike(s.filter.Action)+".%")
	}
	for _, forms := range s.filter.Words {
		var either []string
		var values []any
		for _, column := range append([]string{"action"}, worded...) {
			either, values = append(either, column+" IN ?"), append(values, forms)
		}
		and("("+strings.Join(either, " OR ")+")", values...)
	}
	// Not as a bare column: the range of numbers is the way to them.
	if s.filter.Since > 0 {
		and("at + 0 >= ?", s.filter.Since)
	}
	if s.filter.Until > 0 {
		and("at + 0 <= ?", s.filter.Until)
	}
}

// AuditSince reports whether an action was done for the tenant with success since another one last was.
func (t Tenant) AuditSince(action, since string) (bool, error) {
	last := func(action string) (int64, error) {
		var r AuditRecord
		err := t.rows(&AuditRecord{}).Select("id").Where("action = ? AND result = 'ok'", action).Order("id DESC").Limit(1).Find(&r).Error
		return r.ID, err
	}
	done, err := last(action)
	if err != nil {
		return false, err
	}
	from, err := last(since)
	return done > from, err
}
