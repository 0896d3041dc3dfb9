package meta

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"gatehouse/storage"
)

// factRollups is the fact with the place of the audit log's chain up to which it is counted, and the chain.
const factRollups = "rollups"

// Spans of the counters.
const (
	hourSpan = Stamp(time.Hour / time.Microsecond)
	daySpan  = 24 * hourSpan
	// rollupsKept is how long counters stay: a year and what it takes to compare with the one before.
	rollupsKept = 400 * 24 * time.Hour
)

// Hour is the stamp's hour, counted from the Unix epoch.
func (s Stamp) Hour() int64 { return int64(s / hourSpan) }

// Day is the stamp's day by UTC, counted from the Unix epoch.
func (s Stamp) Day() int64 { return int64(s / daySpan) }

// HourStart is when an hour begins.
func HourStart(hour int64) Stamp { return Stamp(hour) * hourSpan }

// countable is what the counters read of a record. Seq is its place in the chain.
type countable struct {
	Seq       int64
	At        Stamp
	ActorKind string
	TenantID  string
	Action    string
	Result    string
	Code      string
	Data      string
}

// toCount reads sealed records behind a place, at most limit. Places are given in the order of commits and have no gaps, so
// nothing ever appears behind a place that was read. Records that have left for an archive are passed over: they are half a
// year old.
func (tx *Tx) toCount(after int64, limit int) ([]countable, error) {
	var out []countable
	return out, tx.g.Raw(`SELECT s.seq, a.at, a.actor_kind, a.tenant_id, a.action, a.result, a.code,
			CASE WHEN a.action IN ('asset.upload', 'scan.verdict') THEN a.data ELSE '' END AS data
		FROM audit_seals s JOIN audit_log a ON a.id = s.record_id WHERE s.seq > ? ORDER BY s.seq LIMIT ?`, after, limit).Scan(&out).Error
}

// RollUp counts at most limit further records of the audit log, as they are sealed, and reports how many it has read. Each
// is counted once, whoever calls and however often: the position moves on with the counters, in one transaction.
func (db *DB) RollUp(ctx context.Context, limit int) (int, error) {
	n := 0
	err := db.InTx(ctx, func(tx *Tx) error {
		fact, err := tx.LockFact(factRollups)
		if err != nil {
			return err
		}
		links, err := tx.chainEnds()
		if err != nil {
			return fmt.Errorf("read the chains of the audit log: %w", err)
		}
		after, known := countedTo(fact.Value, links)
		if !known {
			if err := tx.countAnew(); err != nil {
				return fmt.Errorf("count anew: %w", err)
			}
		}
		list, err := tx.toCount(after, limit)
		if err != nil {
			return fmt.Errorf("read the audit log: %w", err)
		}
		if n = len(list); n > 0 {
			after = list[n-1].Seq
			if err := tx.addUp(list, Now().Add(-rollupsKept)); err != nil {
				return err
			}
		}
		return tx.SetFact(factRollups, positionAt(after, links))
	})
	return n, err
}

// chainEnd is a chain with the last place that it has in this database.
type chainEnd struct {
	id          string
	first, last int64
}

func (tx *Tx) chainEnds() ([]chainEnd, error) {
	head, err := tx.AuditHead()
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var chains []AuditChain
	if err := tx.g.Order("first_seq, began_at, chain_id").Find(&chains).Error; err != nil {
		return nil, err
	}
	var out []chainEnd
	for i, c := range chains {
		end := head.Seq
		if i+1 < len(chains) {
			end = chains[i+1].FirstSeq - 1
		}
		out = append(out, chainEnd{c.ChainID, c.FirstSeq, end})
	}
	return out, nil
}

// positionAt names a place with the chain that it is of.
func positionAt(seq int64, chains []chainEnd) string {
	for _, c := range chains {
		if c.first <= seq && seq <= c.last {
			return fmt.Sprintf("%d %s", seq, c.id)
		}
	}
	return ""
}

// countedTo reads a position; false when this log has no such place. So it is after a restore that brought the counters of
// another log: a position in it says nothing about this one.
func countedTo(position string, chains []chainEnd) (int64, bool) {
	place, _, _ := strings.Cut(position, " ")
	seq, err := strconv.ParseInt(place, 10, 64)
	if err != nil || positionAt(seq, chains) != position {
		return 0, false
	}
	return seq, true
}

// countAnew empties what the log fills again. When a tenant uploaded last stays: what the log no longer has is true all the same.
func (tx *Tx) countAnew() error {
	if err := tx.g.Delete(&StatHour{}, "hour >= 0").Error; err != nil {
		return err
	}
	return tx.g.Delete(&TenantDay{}, "day >= 0").Error
}

// sums is what a batch of records adds up to.
type sums struct {
	hours map[StatHour]int64 // keyed with N = 0
	days  map[TenantDay]*TenantDay
	last  map[string]Stamp
}

func (tx *Tx) addUp(list []countable, oldest Stamp) error {
	s := sums{map[StatHour]int64{}, map[TenantDay]*TenantDay{}, map[string]Stamp{}}
	for _, r := range list {
		if r.At < oldest {
			continue
		}
		s.add(r)
	}
	if err := tx.leaveOutPurged(&s); err != nil {
		return fmt.Errorf("look for tenants that are gone: %w", err)
	}
	return tx.write(s)
}

// recordFacts are what the counters take from a record's data.
type recordFacts struct {
	Size      int64              `json:"size"`
	Duplicate bool               `json:"duplicate"`
	Status    storage.ScanStatus `json:"status"`
}

// factsOf reads them. Data that is not as this program writes it has none: such a record stays in the log for ever, and must
// not keep those behind it from being counted.
func factsOf(data string) recordFacts {
	var f recordFacts
	if data == "" || json.Unmarshal([]byte(data), &f) != nil || f.Size < 0 || f.Size > maxCountedSize ||
		len(f.Status) > maxStatLabel || strings.ContainsRune(string(f.Status), 0) {
		return recordFacts{}
	}
	return f
}

const (
	// maxCountedSize is more than any file has, and far from where a sum of them would not fit.
	maxCountedSize = 1 << 50
	// maxStatLabel is what the column of labels holds.
	maxStatLabel = 64
)

// add counts one record. What it does not know it leaves out.
func (s sums) add(r countable) {
	facts := factsOf(r.Data)
	day := func() *TenantDay {
		key := TenantDay{TenantID: r.TenantID, Day: r.At.Day()}
		if s.days[key] == nil {
			s.days[key] = &TenantDay{TenantID: key.TenantID, Day: key.Day}
		}
		return s.days[key]
	}
	hour := func(metric, label string, n int64) {
		s.hours[StatHour{Hour: r.At.Hour(), Metric: metric, Label: label}] += n
	}
	switch {
	case r.Action == "asset.upload" && r.Result == "ok":
		label := "new"
		if facts.Duplicate {
			label = "duplicate"
		}
		hour(StatUploads, label, 1)
		hour(StatBytes, label, facts.Size)
		day().Uploads++
		day().Bytes += facts.Size
		s.last[r.TenantID] = max(s.last[r.TenantID], r.At)
	case r.Action == "asset.upload" && r.Result == "refused":
		hour(StatRefusals, r.Code, 1)
		day().Refusals++
	case r.Action == "scan.verdict" && r.Result == "ok":
		hour(StatVerdicts, string(facts.Status), 1)
		if state, err := storage.StateOf(facts.Status); err == nil && state == storage.AssetRejected {
			day().Rejected++
		}
	case r.Action == "asset.delete" && r.Result == "ok":
		hour(StatDeletes, r.ActorKind, 1)
	}
}

// leaveOutPurged keeps what a purge has removed from coming back.
func (tx *Tx) leaveOutPurged(s *sums) error {
	ids := map[string]bool{}
	for key := range s.days {
		ids[key.TenantID] = true
	}
	for part := range slices.Chunk(slices.Sorted(maps.Keys(ids)), statBatch) {
		var live []string
		err := tx.g.Model(&TenantRow{}).Where("id IN ? AND state <> ? AND NOT (state = ? AND restore_state = '')",
			part, storage.TenantDeleted, storage.TenantPendingDelete).Pluck("id", &live).Error
		if err != nil {
			return err
		}
		for _, id := range live {
			delete(ids, id)
		}
	}
	maps.DeleteFunc(s.days, func(key TenantDay, _ *TenantDay) bool { return ids[key.TenantID] })
	maps.DeleteFunc(s.last, func(id string, _ Stamp) bool { return ids[id] })
	return nil
}

// statBatch bounds one statement.
const statBatch = 500

// write adds the sums to the counters.
func (tx *Tx) write(s sums) error {
	hours := make([]StatHour, 0, len(s.hours))
	for h, n := range s.hours {
		h.N = n
		hours = append(hours, h)
	}
	days := make([]TenantDay, 0, len(s.days))
	for _, d := range s.days {
		days = append(days, *d)
	}
	last := make([]TenantActivity, 0, len(s.last))
	for id, at := range s.last {
		last = append(last, TenantActivity{id, at})
	}
	// In one order, so that no two transactions wait for each other.
	slices.SortFunc(days, func(a, b TenantDay) int {
		return cmp.Or(cmp.Compare(a.TenantID, b.TenantID), cmp.Compare(a.Day, b.Day))
	})
	slices.SortFunc(last, func(a, b TenantActivity) int { return cmp.Compare(a.TenantID, b.TenantID) })
	if err := upsert(tx, hours, []string{"hour", "metric", "label"}, tx.plus("stat_hours", "n")); err != nil {
		return fmt.Errorf("count hours: %w", err)
	}
	if err := upsert(tx, days, []string{"tenant_id", "day"}, tx.plus("tenant_days", "uploads", "bytes", "refusals", "rejected")); err != nil {
		return fmt.Errorf("count days: %w", err)
	}
	now := tx.offered("last_upload_at")
	latest := gorm.Expr("CASE WHEN " + now + " > tenant_activity.last_upload_at THEN " + now + " ELSE tenant_activity.last_upload_at END")
	if err := upsert(tx, last, []string{"tenant_id"}, map[string]any{"last_upload_at": latest}); err != nil {
		return fmt.Errorf("note last uploads: %w", err)
	}
	return nil
}

// offered is the SQL of what an insert wanted to put into a column that has a value already.
func (tx *Tx) offered(column string) string {
	if tx.dialect == MySQL {
		return "VALUES(" + column + ")"
	}
	return "excluded." + column
}

func (tx *Tx) plus(table string, columns ...string) map[string]any {
	out := map[string]any{}
	for _, c := range columns {
		out[c] = gorm.Expr(table + "." + c + " + " + tx.offered(c))
	}
	return out
}

func upsert[Row any](tx *Tx, rows []Row, key []string, set map[string]any) error {
	conflict := clause.OnConflict{DoUpdates: clause.Assignments(set)}
	for _, c := range key {
		conflict.Columns = append(conflict.Columns, clause.Column{Name: c})
	}
	for part := range slices.Chunk(rows, statBatch) {
		if err := tx.g.Clauses(conflict).Create(&part).Error; err != nil {
			return err
		}
	}
	return nil
}

// ForgetRollups removes counters that are older than they are kept.
func (db *DB) ForgetRollups(ctx context.Context, now Stamp) error {
	oldest := now.Add(-rollupsKept)
	return db.InTx(ctx, func(tx *Tx) error {
		if err := tx.g.Delete(&StatHour{}, "hour < ?", oldest.Hour()).Error; err != nil {
			return err
		}
		return tx.g.Delete(&TenantDay{}, "day < ?", oldest.Day()).Error
	})
}
