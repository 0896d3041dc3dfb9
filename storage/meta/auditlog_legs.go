package meta

import (
	"fmt"
	"math"
	"slices"
)

// leg is a part of an index in which records lie in the order of their numbers: those with a value of its column, and where it
// has one with an action. Without an index it is the whole log.
type leg struct {
	index         *auditIndex
	value, action string
}

// legs are those of the index with the fewest entries for what is looked for.
func (s *auditQuestion) legs() ([]leg, error) {
	type lead struct {
		index auditIndex
		value string
	}
	var leads []lead
	for _, x := range auditIndexes {
		value := s.wanted(x.column)
		if value != "" && !(x.column == "result" && value == "ok") {
			leads = append(leads, lead{x, value})
		}
	}
	best := -1
	for i, least := 0, int64(math.MaxInt64); i < len(leads) && len(leads) > 1; i++ {
		n, err := s.entries(leads[i].index, leads[i].value)
		if err != nil {
			return nil, err
		}
		if n <= least { // of many the later in the list: it is what more is narrowed by
			best, least = i, n
		}
	}
	switch {
	case len(leads) == 1:
		best = 0
	case len(s.filter.Words) > 0 && best < 0:
		return s.wordLegs()
	case best < 0 && s.filter.Action == "":
		return []leg{{}}, nil
	case best < 0:
		return s.actionLegs()
	}
	return s.legsOf(leads[best].index, leads[best].value)
}

// wanted is what a column must be.
func (s *auditQuestion) wanted(column string) string {
	f := s.filter
	return map[string]string{
		"tenant_id": f.TenantID, "actor_kind": f.ActorKind, "actor_id": f.ActorID, "actor_role": f.Role, "target": f.Target,
		"result": f.Result, "code": f.Code, "address": f.Address, "request_id": f.RequestID,
	}[column]
}

func (s *auditQuestion) entries(x auditIndex, value string) (int64, error) {
	q := "SELECT 1 AS one FROM audit_log" + s.hint(x) + " WHERE " + x.column + " = ?" + x.and()
	args := []any{value}
	if action := s.filter.Action; action != "" && x.byAction {
		// A family is counted whole, which is never less.
		q, args = q+" AND action >= ? AND action < ?", append(args, action, action+"/")
	}
	var n int64
	err := s.g.Raw(fmt.Sprintf("SELECT COUNT(*) FROM (%s LIMIT %d) t", q, enough), args...).Scan(&n).Error
	return n, err
}

// and is the condition of a partial index, which the database wants to see.
func (x auditIndex) and() string {
	if x.only == "" {
		return ""
	}
	return " AND " + x.only
}

// hint names the index to the databases that take a name.
func (s *auditQuestion) hint(x auditIndex) string {
	switch s.dialect {
	case MySQL:
		return " FORCE INDEX (" + x.name + ")"
	case SQLite:
		return " INDEXED BY " + x.name
	case Postgres:
	}
	return ""
}

func (s *auditQuestion) legsOf(x auditIndex, value string) ([]leg, error) {
	if !x.byAction {
		return []leg{{index: &x, value: value}}, nil
	}
	actions, err := s.distinct(x, "action", value)
	if err != nil {
		return nil, err
	}
	var out []leg
	for _, a := range actions {
		if s.filter.family(a) {
			out = append(out, leg{&x, value, a})
		}
	}
	return out, nil
}

// actionLegs look for an action whoever did it.
func (s *auditQuestion) actionLegs() ([]leg, error) {
	x := indexOn("actor_kind")
	kinds, err := s.distinct(x, x.column, "")
	if err != nil {
		return nil, err
	}
	var out []leg
	for _, kind := range kinds {
		some, err := s.legsOf(x, kind)
		if err != nil {
			return nil, err
		}
		out = append(out, some...)
	}
	return out, nil
}

func indexOn(column string) auditIndex {
	return auditIndexes[slices.IndexFunc(auditIndexes, func(x auditIndex) bool { return x.column == column })]
}

// wordLegs look for the first word; the others only narrow.
func (s *auditQuestion) wordLegs() ([]leg, error) {
	var out []leg
	for _, word := range s.filter.Words[0] {
		for _, column := range worded {
			some, err := s.legsOf(indexOn(column), word)
			if err != nil {
				return nil, err
			}
			out = append(out, some...)
		}
		byAction := *s
		byAction.filter = AuditFilter{Action: word}
		some, err := byAction.actionLegs()
		if err != nil {
			return nil, err
		}
		for _, l := range some {
			if l.action == word && s.filter.family(word) {
				out = append(out, l)
			}
		}
	}
	return out, nil
}

// distinct lists the different values of an index in its first column, or of its actions behind a value of the first, by leaps:
// one look-up a value, however many records have it.
func (s *auditQuestion) distinct(x auditIndex, column, value string) ([]string, error) {
	from, args := "SELECT MIN("+column+") AS v FROM audit_log"+s.hint(x)+" WHERE "+column+" > ''"+x.and(), []any(nil)
	next := "SELECT MIN(" + column + ") FROM audit_log" + s.hint(x) + " WHERE " + column + " > a.v" + x.and()
	if column != x.column {
		from, next, args = from+" AND "+x.column+" = ?", next+" AND "+x.column+" = ?", []any{value, value}
	}
	var out []string
	err := s.g.Raw("WITH RECURSIVE a AS ("+from+" UNION ALL SELECT ("+next+") FROM a WHERE a.v IS NOT NULL) SELECT v FROM a WHERE v IS NOT NULL",
		args...).Scan(&out).Error
	return out, err
}
