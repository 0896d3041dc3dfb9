package quota

import (
	"context"
	"fmt"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// Ledger reserves, settles and releases quota.
type Ledger struct {
	DB *meta.DB
	// TTL is how long a reservation lives without being renewed.
	TTL time.Duration
}

// Reservation is quota held for bytes on their way. Its owner settles or releases it; one that does neither
// loses it when it expires.
type Reservation struct {
	ID       string
	TenantID string
	Bytes    int64
}

// take is THE conditional update: it adds bytes to one of the two columns if the quota has room for them.
const take = `UPDATE tenants SET %s = %s + ?, updated_at = ? WHERE id = ? AND used_bytes + reserved_bytes + ? <=
	COALESCE(quota_override, (SELECT storage_bytes FROM plans WHERE plans.name = tenants.plan))`

// Reserve holds bytes for a tenant, or refuses with QUOTA_EXCEEDED and the numbers.
func (l Ledger) Reserve(ctx context.Context, tenantID string, bytes int64) (Reservation, error) {
	if bytes < 0 {
		return Reservation{}, fmt.Errorf("reserve %d bytes: negative", bytes)
	}
	r := Reservation{ID: meta.NewID(), TenantID: tenantID, Bytes: bytes}
	if l.DB.Dialect() == meta.Postgres {
		return r, l.reserveAtOnce(ctx, r)
	}
	err := l.DB.InTx(ctx, func(tx *meta.Tx) error {
		now := meta.Now()
		// The row of the reservation comes first: the tenant's row, which all uploads of the tenant contend
		// for, is locked for the shortest time.
		err := tx.Create(&meta.Reservation{ID: r.ID, TenantID: tenantID, Bytes: bytes, ExpiresAt: now.Add(l.TTL), CreatedAt: now})
		if err != nil {
			return fmt.Errorf("reserve: %w", err)
		}
		return l.add(tx, "reserved_bytes", tenantID, bytes)
	})
	return r, err
}

// reserveAtOnce is Reserve in one statement: one round trip instead of four, on the path of every upload. It does
// not wait for the disk either. A reservation that a crash of the server forgets was forgotten together with the
// tenant's sum, and its upload cannot settle: it is asked to try again.
func (l Ledger) reserveAtOnce(ctx context.Context, r Reservation) error {
	now := meta.Now()
	n, err := l.DB.Exec(ctx, `WITH hasty AS (SELECT set_config('synchronous_commit', 'off', true)),
		room AS (UPDATE tenants SET reserved_bytes = reserved_bytes + ?, updated_at = ? FROM hasty
			WHERE id = ? AND used_bytes + reserved_bytes + ? <=
				COALESCE(quota_override, (SELECT storage_bytes FROM plans WHERE plans.name = tenants.plan))
			RETURNING id)
		INSERT INTO reservations (id, tenant_id, bytes, expires_at, created_at) SELECT ?, id, ?, ?, ? FROM room`,
		r.Bytes, now, r.TenantID, r.Bytes, r.ID, r.Bytes, now.Add(l.TTL), now)
	if err != nil {
		return fmt.Errorf("reserve: %w", err)
	}
	if n == 1 {
		return nil
	}
	return exceeded(l.DB.Tenant(ctx, r.TenantID), r.Bytes)
}

// Grow makes a reservation larger, for an upload that turned out larger than it was declared.
func (l Ledger) Grow(ctx context.Context, r *Reservation, bytes int64) error {
	more := bytes - r.Bytes
	if more <= 0 {
		return nil
	}
	err := l.DB.InTx(ctx, func(tx *meta.Tx) error {
		n, err := tx.Exec(`UPDATE reservations SET bytes = ?, expires_at = ? WHERE id = ?`, bytes, meta.Now().Add(l.TTL), r.ID)
		if err != nil {
			return fmt.Errorf("grow reservation: %w", err)
		}
		if n == 0 {
			return errExpired
		}
		return l.add(tx, "reserved_bytes", r.TenantID, more)
	})
	if err == nil {
		r.Bytes = bytes
	}
	return err
}

// errExpired tells an upload that took longer than its reservation lived: the client may try again.
var errExpired = storage.Refuse(storage.CodeUnavailable, nil).CausedBy(fmt.Errorf("the reservation has expired"))

// Renew keeps a reservation alive for another TTL while its upload runs.
func (l Ledger) Renew(ctx context.Context, r Reservation) error {
	return l.DB.InTx(ctx, func(tx *meta.Tx) error {
		n, err := tx.Exec(`UPDATE reservations SET expires_at = ? WHERE id = ?`, meta.Now().Add(l.TTL), r.ID)
		if err == nil && n == 0 {
			return errExpired
		}
		return err
	})
}

// Settle turns a reservation into used bytes (actual, at most what was reserved) in the transaction that
// stores the rows. Actual zero releases it. Call it last: it locks the tenant's row until the commit.
func (l Ledger) Settle(tx *meta.Tx, r Reservation, actual int64) error {
	if actual > r.Bytes {
		return fmt.Errorf("settle %d bytes over a reservation of %d", actual, r.Bytes)
	}
	// The row decides how much was held: a caller who does not know of its own Grow (the answer to the commit was
	// lost) settles nothing, and the row expires with its true size.
	n, err := tx.Exec(`DELETE FROM reservations WHERE id = ? AND bytes = ?`, r.ID, r.Bytes)
	if err != nil {
		return fmt.Errorf("settle: %w", err)
	}
	if n == 0 {
		return errExpired
	}
	_, err = tx.Exec(`UPDATE tenants SET used_bytes = used_bytes + ?, reserved_bytes = reserved_bytes - ?, updated_at = ? WHERE id = ?`,
		actual, r.Bytes, meta.Now(), r.TenantID)
	if err != nil {
		return fmt.Errorf("settle: %w", err)
	}
	return nil
}

// Release gives a reservation back. One that is gone already is no error: then it was settled or expired.
func (l Ledger) Release(ctx context.Context, r Reservation) error {
	return l.DB.InTx(ctx, func(tx *meta.Tx) error { return l.drop(tx, r) })
}

func (l Ledger) drop(tx *meta.Tx, r Reservation) error {
	n, err := tx.Exec(`DELETE FROM reservations WHERE id = ? AND bytes = ?`, r.ID, r.Bytes)
	if err != nil || n == 0 {
		return err
	}
	_, err = tx.Exec(`UPDATE tenants SET reserved_bytes = reserved_bytes - ?, updated_at = ? WHERE id = ?`, r.Bytes, meta.Now(), r.TenantID)
	return err
}

// Charge adds bytes to used_bytes without a reservation, if the quota has room; for a variant, whose size is
// known before it is stored.
func (l Ledger) Charge(tx *meta.Tx, tenantID string, bytes int64) error {
	return l.add(tx, "used_bytes", tenantID, bytes)
}

// Refund takes bytes off used_bytes, in the transaction that removes the rows.
func (l Ledger) Refund(tx *meta.Tx, tenantID string, bytes int64) error {
	if bytes == 0 {
		return nil
	}
	_, err := tx.Exec(`UPDATE tenants SET used_bytes = used_bytes - ?, updated_at = ? WHERE id = ?`, bytes, meta.Now(), tenantID)
	return err
}

// ExpireAbandoned drops reservations past their time, at most limit, and returns how many.
func (l Ledger) ExpireAbandoned(ctx context.Context, limit int) (int, error) {
	var dropped int
	err := l.DB.InTx(ctx, func(tx *meta.Tx) error {
		dropped = 0
		var list []meta.Reservation
		now := meta.Now()
		if _, err := tx.Scan(&list, `SELECT * FROM reservations WHERE expires_at < ? ORDER BY id LIMIT ?`, now, limit); err != nil {
			return err
		}
		for _, row := range list {
			// An upload may have renewed it since the list was read.
			n, err := tx.Exec(`DELETE FROM reservations WHERE id = ? AND expires_at < ?`, row.ID, now)
			if err != nil {
				return err
			}
			if n == 0 {
				continue
			}
			_, err = tx.Exec(`UPDATE tenants SET reserved_bytes = reserved_bytes - ?, updated_at = ? WHERE id = ?`, row.Bytes, now, row.TenantID)
			if err != nil {
				return err
			}
			dropped++
		}
		return nil
	})
	return dropped, err
}

// add runs the conditional update on one column and turns a miss into the refusal.
func (l Ledger) add(tx *meta.Tx, column, tenantID string, bytes int64) error {
	n, err := tx.Exec(fmt.Sprintf(take, column, column), bytes, meta.Now(), tenantID, bytes)
	if err != nil {
		return fmt.Errorf("update ledger: %w", err)
	}
	if n == 1 {
		return nil
	}
	return exceeded(tx.Tenant(tenantID), bytes)
}

// exceeded is the refusal with the numbers of this moment.
func exceeded(tenant meta.Tenant, bytes int64) error {
	q, err := tenant.Quota()
	if err != nil {
		return err
	}
	return storage.Refuse(storage.CodeQuotaExceeded, storage.Details{
		"quota": q.Quota, "used": q.Used, "reserved": q.Reserved, "needed": bytes,
	})
}
