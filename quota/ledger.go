package quota

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// Ledger reserves, settles and releases quota.
type Ledger struct {
	DB *meta.DB
	// TTL is how long a reservation lives without being renewed, by the database's clock to the second: those of a gateway
	// that gives it and of a worker that takes it back differ.
	TTL time.Duration
	// Grace is how long deleted bytes stay; it is told with refusals.
	Grace time.Duration
}

// take adds bytes to one of the two columns if the quota has room for them and no purge of the tenant has begun: what
// it took in would be left behind. A tenant that cools off goes on, because it may be restored.
const take = `UPDATE tenants SET %s = %s + ?, updated_at = ? WHERE id = ? AND ` + enoughBytes + `
	AND (state IN (?, ?) OR state = ? AND restore_state <> '')`

// now is the SQL of a stamp by the database's clock; "+ ?" are microseconds.
func (l Ledger) now() string { return "(" + l.DB.Dialect().Epoch() + ") * 1000000" }

// Reservation is quota held for an upload on its way: its bytes, and one file. Its owner settles or releases it; one
// that does neither loses it when it expires.
type Reservation struct {
	ID       string
	TenantID string
	Bytes    int64
	// NoRoom is Limits.NoRoom: the file has no room of its own.
	NoRoom bool
}

// reserveRounds bounds how often a reservation is tried that found no room, although there was some when it looked why.
const reserveRounds = 5

// Reserve holds bytes and one file for a tenant, in one conditional update that checks everything: it refuses with
// QUOTA_EXCEEDED, RATE_LIMITED or TENANT_SUSPENDED and the numbers.
func (l Ledger) Reserve(ctx context.Context, tenantID string, bytes int64, limits Limits) (Reservation, error) {
	if bytes < 0 {
		return Reservation{}, fmt.Errorf("reserve %d bytes: negative", bytes)
	}
	r := Reservation{ID: meta.NewID(), TenantID: tenantID, Bytes: bytes, NoRoom: limits.NoRoom}
	reserve := l.reserveInTx
	if l.DB.Dialect() == meta.Postgres {
		reserve = l.reserveAtOnce
	}
	for range reserveRounds {
		held, err := reserve(ctx, r, limits)
		if err != nil {
			return r, fmt.Errorf("reserve: %w", err)
		}
		if held {
			return r, nil
		}
		q, err := l.DB.Tenant(ctx, tenantID).Quota()
		if err != nil {
			return r, fmt.Errorf("read why there is no room: %w", err)
		}
		if err := limits.Refuse(q, bytes); err != nil {
			return r, l.Explain(l.DB.Tenant(ctx, tenantID), err)
		}
		// Somebody gave something back in between.
	}
	return r, storage.Refuse(storage.CodeUnavailable, nil).CausedBy(fmt.Errorf("no room in %d rounds, and each time there was", reserveRounds))
}

// errNoRoom ends the transaction of a reservation that found none.
var errNoRoom = errors.New("no room")

// reserveInTx is one round of Reserve; it reports whether there was room.
func (l Ledger) reserveInTx(ctx context.Context, r Reservation, limits Limits) (bool, error) {
	minute := minuteOf(l.DB.Dialect())
	where, args := limits.room(minute, r.Bytes)
	err := l.DB.InTx(ctx, func(tx *meta.Tx) error {
		now := meta.Now()
		// The row of the reservation comes first: the tenant's row, which all uploads of the tenant contend
		// for, is locked for the shortest time.
		_, err := tx.Exec(`INSERT INTO reservations (id, tenant_id, bytes, expires_at, created_at) VALUES (?, ?, ?, `+l.now()+` + ?, ?)`,
			r.ID, r.TenantID, r.Bytes, l.TTL.Microseconds(), now)
		if err != nil {
			return err
		}
		n, err := tx.Exec(`UPDATE tenants SET `+countUpload(minute)+` WHERE id = ? AND `+where, append([]any{r.Bytes, now, r.TenantID}, args...)...)
		if err == nil && n == 0 {
			return errNoRoom
		}
		return err
	})
	if errors.Is(err, errNoRoom) {
		return false, nil
	}
	return err == nil, err
}

// reserveAtOnce is reserveInTx in one statement: one round trip instead of four, on the path of every upload. It does
// not wait for the disk either. A reservation that a crash of the server forgets was forgotten together with the
// tenant's sums, and its upload cannot settle: it is asked to try again. The minute is read once, so that the window
// and its count cannot be of two different ones.
func (l Ledger) reserveAtOnce(ctx context.Context, r Reservation, limits Limits) (bool, error) {
	now := meta.Now()
	where, room := limits.room("hasty.minute", r.Bytes)
	args := append([]any{r.Bytes, now, r.TenantID}, room...)
	args = append(args, r.ID, r.Bytes, l.TTL.Microseconds(), now)
	n, err := l.DB.Exec(ctx, `WITH hasty AS (SELECT set_config('synchronous_commit', 'off', true), `+minuteOf(meta.Postgres)+` AS minute),
		room AS (UPDATE tenants SET `+countUpload("hasty.minute")+` FROM hasty WHERE id = ? AND `+where+` RETURNING id)
		INSERT INTO reservations (id, tenant_id, bytes, expires_at, created_at) SELECT ?, id, ?, `+l.now()+` + ?, ? FROM room`, args...)
	return n == 1, err
}

// Grow makes a reservation larger, for an upload that turned out larger than it was declared.
func (l Ledger) Grow(ctx context.Context, r *Reservation, bytes int64) error {
	more := bytes - r.Bytes
	if more <= 0 {
		return nil
	}
	err := l.DB.InTx(ctx, func(tx *meta.Tx) error {
		n, err := tx.Exec(`UPDATE reservations SET bytes = ?, expires_at = `+l.now()+` + ? WHERE id = ?`, bytes, l.TTL.Microseconds(), r.ID)
		if err != nil {
			return fmt.Errorf("grow reservation: %w", err)
		}
		if n == 0 {
			return ErrExpired
		}
		return l.add(tx, "reserved_bytes", r.TenantID, more)
	})
	if err == nil {
		r.Bytes = bytes
	}
	return err
}

// ErrExpired tells an upload that took longer than its reservation lived: the client may try again.
var ErrExpired = storage.Refuse(storage.CodeUnavailable, nil).CausedBy(fmt.Errorf("the reservation has expired"))

// Renew keeps a reservation alive for another TTL while its upload runs.
func (l Ledger) Renew(ctx context.Context, r Reservation) error {
	return l.DB.InTx(ctx, func(tx *meta.Tx) error {
		n, err := tx.Exec(`UPDATE reservations SET expires_at = `+l.now()+` + ? WHERE id = ?`, l.TTL.Microseconds(), r.ID)
		if err == nil && n == 0 {
			return ErrExpired
		}
		return err
	})
}

// The SETs that take off; their parameters are the bytes, twice. A ledger that has drifted below what is taken off must
// not hold up the deletion or the upload that does it: the reconciliation sets it to the truth.
const (
	unuse     = `used_bytes = CASE WHEN used_bytes > ? THEN used_bytes - ? ELSE 0 END`
	unreserve = `reserved_bytes = CASE WHEN reserved_bytes > ? THEN reserved_bytes - ? ELSE 0 END,
		reserved_files = CASE WHEN reserved_files > 0 THEN reserved_files - 1 ELSE 0 END`
)

// Settle turns the reservation of an upload into used bytes (actual, at most what was reserved; zero for an asset on
// bytes that are there) and one used file, in the transaction that stores the rows. Call it last: it locks the tenant's
// row until the commit. A tenant that is to be deleted takes nothing in any more.
func (l Ledger) Settle(tx *meta.Tx, r Reservation, actual int64) error {
	if actual > r.Bytes {
		return fmt.Errorf("settle %d bytes over a reservation of %d", actual, r.Bytes)
	}
	if r.NoRoom {
		// What it repeats is gone meanwhile, or what it mends is whole: sent again it is judged as a new upload, which needs room.
		return storage.Refuse(storage.CodeUnavailable, nil).CausedBy(errors.New("an upload without room of its own cannot settle"))
	}
	// The row decides how much was held: a caller who does not know of its own Grow (the answer to the commit was
	// lost) settles nothing, and the row expires with its true size.
	n, err := tx.Exec(`DELETE FROM reservations WHERE id = ? AND bytes = ?`, r.ID, r.Bytes)
	if err != nil {
		return fmt.Errorf("settle: %w", err)
	}
	if n == 0 {
		return ErrExpired
	}
	n, err = tx.Exec(`UPDATE tenants SET used_bytes = used_bytes + ?, used_files = used_files + 1, `+unreserve+`, updated_at = ?
		WHERE id = ? AND state IN (?, ?)`, actual, r.Bytes, r.Bytes, meta.Now(), r.TenantID, storage.TenantActive, storage.TenantSuspended)
	if err != nil {
		return fmt.Errorf("settle: %w", err)
	}
	if n == 0 {
		return storage.Refuse(storage.CodeTenantSuspended, nil)
	}
	return nil
}

// Release gives a reservation back. One that is gone already is no error: then it was settled or expired.
func (l Ledger) Release(ctx context.Context, r Reservation) error {
	return l.DB.InTx(ctx, func(tx *meta.Tx) error {
		n, err := tx.Exec(`DELETE FROM reservations WHERE id = ? AND bytes = ?`, r.ID, r.Bytes)
		if err != nil || n == 0 {
			return err
		}
		return giveBack(tx, r.TenantID, r.Bytes)
	})
}

// giveBack takes one reservation that was deleted off its tenant.
func giveBack(tx *meta.Tx, tenantID string, bytes int64) error {
	_, err := tx.Exec(`UPDATE tenants SET `+unreserve+`, updated_at = ? WHERE id = ?`, bytes, bytes, meta.Now(), tenantID)
	return err
}

// Charge adds bytes to used_bytes without a reservation, if the quota has room; for a variant, whose size is
// known before it is stored. TENANT_SUSPENDED once the tenant's purge has begun.
func (l Ledger) Charge(tx *meta.Tx, tenantID string, bytes int64) error {
	return l.add(tx, "used_bytes", tenantID, bytes)
}

// Refund takes bytes off used_bytes, in the transaction that removes the rows.
func (l Ledger) Refund(tx *meta.Tx, tenantID string, bytes int64) error {
	if bytes == 0 {
		return nil
	}
	_, err := tx.Exec(`UPDATE tenants SET `+unuse+`, updated_at = ? WHERE id = ?`, bytes, bytes, meta.Now(), tenantID)
	return err
}

// ExpireAbandoned drops reservations past their time, at most limit, and returns how many.
func (l Ledger) ExpireAbandoned(ctx context.Context, limit int) (int, error) {
	var dropped int
	err := l.DB.InTx(ctx, func(tx *meta.Tx) error {
		dropped = 0
		var list []meta.Reservation
		if _, err := tx.Scan(&list, `SELECT * FROM reservations WHERE expires_at < `+l.now()+` ORDER BY id LIMIT ?`, limit); err != nil {
			return err
		}
		for _, row := range list {
			// An upload may have renewed it since the list was read.
			n, err := tx.Exec(`DELETE FROM reservations WHERE id = ? AND expires_at < `+l.now(), row.ID)
			if err != nil {
				return err
			}
			if n == 0 {
				continue
			}
			if err := giveBack(tx, row.TenantID, row.Bytes); err != nil {
				return err
			}
			dropped++
		}
		return nil
	})
	return dropped, err
}

// add runs take on one column and turns a miss into the refusal.
func (l Ledger) add(tx *meta.Tx, column, tenantID string, bytes int64) error {
	n, err := tx.Exec(fmt.Sprintf(take, column, column), bytes, meta.Now(), tenantID, bytes,
		storage.TenantActive, storage.TenantSuspended, storage.TenantPendingDelete)
	if err != nil {
		return fmt.Errorf("update ledger: %w", err)
	}
	if n == 1 {
		return nil
	}
	row, err := tx.Tenant(tenantID).Row()
	if err != nil {
		return err
	}
	if !row.State.Served() && row.RestoreState == "" {
		return storage.Refuse(storage.CodeTenantSuspended, nil)
	}
	q, err := tx.Tenant(tenantID).Quota()
	if err != nil {
		return err
	}
	if q.Used+q.Reserved+bytes <= q.Quota {
		return meta.ErrChanged // somebody gave something back in between
	}
	return l.Explain(tx.Tenant(tenantID), tooFewBytes(q, bytes))
}

// Correct sets a tenant's ledger to what its rows add up to, this transaction's included, and returns what it was and is.
// It locks the tenant's row before it adds up and until the commit: everybody who changes rows changes this row in the
// same transaction, so none is counted twice or lost. Like every change of the ledger it comes last in its transaction.
func (l Ledger) Correct(tx *meta.Tx, tenantID string) (before, after meta.LedgerSums, err error) {
	if _, err := tx.Exec(`UPDATE tenants SET updated_at = updated_at WHERE id = ?`, tenantID); err != nil {
		return before, after, fmt.Errorf("lock the ledger: %w", err)
	}
	row, err := tx.Tenant(tenantID).Ledger()
	if err != nil {
		return before, after, err
	}
	before, after = row.Written, row.Truth
	if before == after {
		return before, after, nil
	}
	_, err = tx.Exec(`UPDATE tenants SET used_bytes = ?, reserved_bytes = ?, used_files = ?, reserved_files = ?, updated_at = ? WHERE id = ?`,
		after.UsedBytes, after.ReservedBytes, after.UsedFiles, after.ReservedFiles, meta.Now(), tenantID)
	if err != nil {
		return before, after, fmt.Errorf("correct the ledger: %w", err)
	}
	return before, after, nil
}
