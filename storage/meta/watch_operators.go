package meta

import (
	"context"
	"fmt"

	"gatehouse/storage"
)

// This file has the questions of the alert rules about operators. All of them ask for recent records of people only, which
// are few, by an index that holds no others.

// signIns are the actions of which a refusal is a failed login.
const signIns = `('operator.login', 'operator.verify', 'operator.recover')`

// whoseRecords is the beginning of each condition.
const whoseRecords = `actor_kind IN ` + peopleKinds + ` AND at >= ?`

// isTrue is the condition that the record's data has true under a name. It asks for the text that encoding/json writes: within
// a text of JSON it cannot stand, because quotes there are escaped, and names are never a caller's. PostgreSQL cannot parse
// data with an escaped NUL.
func isTrue(name string) string { return `data LIKE '%"` + name + `":true%'` }

// Burst is something that happened too often in too short a time.
type Burst struct {
	// Subject is what it is about: a name, an address, a kind of actor and its id.
	Subject string
	// Count is how often it happened since the time that was asked about, Last when the last time was.
	Count int64
	Last  Stamp
}

// bursts finds what happened at least `least` times within window, anywhere since `since`. subject and where are SQL.
func (db *DB) bursts(ctx context.Context, subject, where string, since Stamp, least int64, window Stamp, limit int) ([]Burst, error) {
	// A row and the one least-1 before it of the same subject are the ends of so many.
	sql := fmt.Sprintf(`SELECT subject, COUNT(*) AS count, MAX(at) AS last FROM (
			SELECT %[1]s AS subject, at, LAG(at, %[2]d) OVER (PARTITION BY %[1]s ORDER BY at, id) AS earlier
			FROM audit_log WHERE %[3]s AND %[4]s) b
		GROUP BY subject HAVING MIN(CASE WHEN earlier IS NULL THEN 9223372036854775807 ELSE at - earlier END) <= ?
		ORDER BY subject LIMIT ?`, subject, least-1, whoseRecords, where)
	var out []Burst
	return out, db.g.WithContext(ctx).Raw(sql, since, window, limit).Scan(&out).Error
}

// FailedLogins lists the names, and the addresses, with at least `least` failed logins within window, since `since`.
func (db *DB) FailedLogins(ctx context.Context, since Stamp, least int64, window Stamp, limit int) (names, addresses []Burst, err error) {
	failed := `result = 'refused' AND action IN ` + signIns
	if names, err = db.bursts(ctx, "target", failed+` AND target <> ''`, since, least, window, limit); err != nil {
		return nil, nil, err
	}
	addresses, err = db.bursts(ctx, "address", failed+` AND address <> ''`, since, least, window, limit)
	return names, addresses, err
}

// LoginsAfterFailures lists the logins that came right after at least `least` failed ones of the same name within window.
func (db *DB) LoginsAfterFailures(ctx context.Context, since Stamp, least int64, window Stamp, limit int) ([]AuditRecord, error) {
	// Of the rows before one, those that are no failure and those that are too old must not be among the nearest.
	sql := fmt.Sprintf(`SELECT id FROM (
			SELECT id, result, at, LAG(at, %[1]d) OVER (PARTITION BY target ORDER BY at, id) AS earlier,
				SUM(CASE WHEN result = 'refused' THEN 1 ELSE 0 END) OVER (PARTITION BY target ORDER BY at, id ROWS BETWEEN %[1]d PRECEDING AND 1 PRECEDING) AS failed
			FROM audit_log WHERE %[2]s AND action IN %[3]s AND result IN ('ok', 'refused') AND target <> '') l
		WHERE result = 'ok' AND failed = ? AND at - earlier <= ? ORDER BY id DESC LIMIT ?`, least, whoseRecords, signIns)
	var ids []int64
	if err := db.g.WithContext(ctx).Raw(sql, since-window, least, window, limit).Scan(&ids).Error; err != nil || len(ids) == 0 {
		return nil, err
	}
	var out []AuditRecord
	return out, db.g.WithContext(ctx).Where("id IN ? AND at >= ?", ids, since).Order("id").Find(&out).Error
}

// actor is the SQL of who did it, as the subject of an alert.
func (d Dialect) actor() string {
	if d == MySQL {
		return `CONCAT(actor_kind, ':', actor_id)`
	}
	return `actor_kind || ':' || actor_id`
}

// QueryBursts lists the actors that read at least `least` times within window, since `since`.
func (db *DB) QueryBursts(ctx context.Context, since Stamp, least int64, window Stamp, limit int) ([]Burst, error) {
	return db.bursts(ctx, db.dialect.actor(), `actor_kind IN ('operator', 'operator_token') AND result = 'ok' AND `+isTrue("read"),
		since, least, window, limit)
}

// Acts are records of one actor, and the last of them.
type Acts struct {
	Actor string
	Count int64
	Last  AuditRecord
	// Counted are those that the question asked to count beside the others.
	Counted int64
}

// acts groups records by actor; counted is a condition.
func (db *DB) acts(ctx context.Context, where, counted string, limit int, args ...any) ([]Acts, error) {
	var rows []struct {
		Actor          string
		Count, Counted int64
		LastID         int64
	}
	err := db.g.WithContext(ctx).Raw(fmt.Sprintf(`SELECT %s AS actor, COUNT(*) AS count, SUM(CASE WHEN %s THEN 1 ELSE 0 END) AS counted, MAX(id) AS last_id
		FROM audit_log WHERE %s AND %s GROUP BY actor_kind, actor_id ORDER BY actor_kind, actor_id LIMIT ?`,
		db.dialect.actor(), counted, whoseRecords, where), append(args, limit)...).Scan(&rows).Error
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	ids := make([]int64, len(rows))
	for i, r := range rows {
		ids[i] = r.LastID
	}
	var list []AuditRecord
	if err := db.g.WithContext(ctx).Where("id IN ?", ids).Find(&list).Error; err != nil {
		return nil, err
	}
	byID := map[int64]AuditRecord{}
	for _, r := range list {
		byID[r.ID] = r
	}
	out := make([]Acts, 0, len(rows))
	for _, r := range rows {
		out = append(out, Acts{Actor: r.Actor, Count: r.Count, Last: byID[r.LastID], Counted: r.Counted})
	}
	return out, nil
}

// ChangesBetween lists who has changed something in a span of time. To sign in or out changes nothing.
func (db *DB) ChangesBetween(ctx context.Context, from, to Stamp, limit int) ([]Acts, error) {
	return db.acts(ctx, `at < ? AND actor_kind <> 'stranger' AND result = 'ok' AND NOT (`+isTrue("read")+`)
		AND action NOT IN ('operator.login', 'operator.verify', 'operator.step_up', 'operator.logout')`, "1 = 0", limit, from, to)
}

// RefusedCalls lists who was refused a privileged call; Counted are those that lacked the role, the others a fresh second factor.
func (db *DB) RefusedCalls(ctx context.Context, since Stamp, limit int) ([]Acts, error) {
	return db.acts(ctx, fmt.Sprintf(`result = 'refused' AND actor_kind IN ('operator', 'operator_token') AND code IN ('%s', '%s')`,
		storage.CodeForbidden, storage.CodeMFARequired), fmt.Sprintf("code = '%s'", storage.CodeForbidden), limit, since)
}

// DangerousFailures lists whose dangerous calls came to nothing, for other reasons than those of RefusedCalls; Counted are
// those that nobody refused.
func (db *DB) DangerousFailures(ctx context.Context, since Stamp, limit int) ([]Acts, error) {
	return db.acts(ctx, fmt.Sprintf(`result IN ('refused', 'failed') AND code NOT IN ('%s', '%s') AND %s`,
		storage.CodeForbidden, storage.CodeMFARequired, isTrue("dangerous")), "result = 'failed'", limit, since)
}

// OperatorAddress is an address that an operator, or a token, has come from. It outlives the records in the audit log.
type OperatorAddress struct {
	// Actor is the kind and the id.
	Actor   string `gorm:"primaryKey"`
	Address string `gorm:"primaryKey"`
	FirstAt Stamp
}

// AddressesSince lists the addresses that operators and tokens came from, with the first time since then.
func (db *DB) AddressesSince(ctx context.Context, since Stamp, limit int) ([]OperatorAddress, error) {
	var out []OperatorAddress
	err := db.g.WithContext(ctx).Raw(fmt.Sprintf(`SELECT %s AS actor, address, MIN(at) AS first_at FROM audit_log
		WHERE %s AND actor_kind IN ('operator', 'operator_token') AND address <> ''
		GROUP BY actor_kind, actor_id, address ORDER BY first_at LIMIT ?`, db.dialect.actor(), whoseRecords), since, limit).Scan(&out).Error
	return out, err
}

// KnownAddresses lists all addresses of actors.
func (db *DB) KnownAddresses(ctx context.Context, actors []string) ([]OperatorAddress, error) {
	var out []OperatorAddress
	if len(actors) == 0 {
		return nil, nil
	}
	return out, db.g.WithContext(ctx).Where("actor IN ?", actors).Order("actor, first_at, address").Find(&out).Error
}

// KnowAddress keeps an address; one that is known stays as it is.
func (db *DB) KnowAddress(ctx context.Context, a OperatorAddress) error {
	return db.InTx(ctx, func(tx *Tx) error {
		_, err := insertNew(tx.g, tx.dialect, &a)
		return err
	})
}
