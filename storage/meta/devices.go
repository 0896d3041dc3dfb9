package meta

import (
	"context"
	"fmt"

	"gatehouse/storage"
)

// HeartbeatsPerMinute is how many heartbeats of one device count in a minute of the database's clock. The release API promises it.
const HeartbeatsPerMinute = 12

// Heartbeat is what a device tells of itself.
type Heartbeat struct {
	// TokenHash is that of the token that came with it: it says whose device it is.
	TokenHash string
	DeviceID  string
	Version   string
	Channel   string
	Platform  string
	Arch      string
	OSVersion string
	// MaxDevices is how many devices its tenant may have; 0 is no limit.
	MaxDevices int64
}

// HeartbeatResult says what became of a heartbeat.
type HeartbeatResult string

// The results. Of BadToken there is one for all causes: whoever has found a token must not learn what it was good for.
const (
	HeartbeatAccepted HeartbeatResult = "accepted"
	HeartbeatBadToken HeartbeatResult = "bad_token"
	HeartbeatDenied   HeartbeatResult = "denied" // the tenant is not active
	HeartbeatTooMany  HeartbeatResult = "too_many"
	HeartbeatFull     HeartbeatResult = "full" // it is a new device, and the tenant has as many as it may have
)

// HeartbeatEnd is the result with its facts.
type HeartbeatEnd struct {
	Result HeartbeatResult
	// Tenant is where the token's tenant is in its life, when it is HeartbeatDenied.
	Tenant storage.TenantState
	// RetryAfter is in seconds, when it is HeartbeatTooMany.
	RetryAfter int64
}

const (
	// heartbeatSkew is how many minutes the database's clock may step back before a window that lies ahead of it is dropped, as
	// with the windows of uploads (package quota).
	heartbeatSkew = 5
	// heartbeatRounds is how often a heartbeat is tried again that was not counted although nothing is against it: the minute
	// turned, or another one was the device's first. Twice in a row is rare already.
	heartbeatRounds = 5
)

// second is Epoch, the same throughout a statement: the window and its count cannot be of two different minutes.
func (d Dialect) second() string {
	if d == Postgres {
		return `CAST(FLOOR(EXTRACT(EPOCH FROM statement_timestamp())) AS bigint)`
	}
	return d.Epoch()
}

// minute is the SQL of the minute since the Unix epoch by the database's clock.
func (d Dialect) minute() string {
	if d == MySQL {
		return d.second() + " DIV 60"
	}
	return d.second() + " / 60"
}

// countHeartbeat is the one statement of a heartbeat that is accepted: it checks the token, the tenant and the rate, and counts.
// The number of rows says whether it did. MySQL evaluates SET from left to right and sees what it has assigned: the count
// comes before the minute.
func countHeartbeat(d Dialect) string {
	minute := d.minute()
	window := fmt.Sprintf("rate_minute BETWEEN %[1]s AND %[1]s + %[2]d", minute, heartbeatSkew)
	return fmt.Sprintf(`UPDATE release_devices SET
			user_id = COALESCE((SELECT k.user_id FROM device_tokens k WHERE k.hash = ?), user_id),
			version = ?, channel = ?, platform = ?, arch = ?, os_version = ?, launches = launches + 1, last_seen_at = ?,
			rate_count = CASE WHEN %[1]s THEN rate_count + 1 ELSE 1 END,
			rate_minute = CASE WHEN %[1]s THEN rate_minute ELSE %[2]s END
		WHERE device_id = ? AND tenant_id = (SELECT k.tenant_id FROM device_tokens k JOIN tenants t ON t.id = k.tenant_id
			WHERE k.hash = ? AND k.device_id = ? AND k.revoked_at = 0 AND k.expires_at > (%[4]s) * 1000000 AND t.state = ?)
		AND CASE WHEN %[1]s THEN rate_count ELSE 0 END < %[3]d`, window, minute, HeartbeatsPerMinute, d.second())
}

// DeviceHeartbeat counts a heartbeat of a device, and makes the device known with its first. One that is accepted of a device that is
// known is one statement, and on PostgreSQL one round trip. What can be refused by reading waits for nobody who writes.
func (db *DB) DeviceHeartbeat(ctx context.Context, h Heartbeat) (HeartbeatEnd, error) {
	if db.dialect != Postgres {
		// Counting takes a transaction here, and on SQLite the one place of a writer: whoever makes up tokens must not get that.
		if end, err := db.whyNoHeartbeat(ctx, h); err != nil || end.Result != "" {
			return end, err
		}
	}
	for range heartbeatRounds {
		counted, err := db.countHeartbeat(ctx, h)
		if err != nil {
			return HeartbeatEnd{}, fmt.Errorf("count heartbeat: %w", err)
		}
		if counted {
			return HeartbeatEnd{Result: HeartbeatAccepted}, nil
		}
		end, err := db.whyNoHeartbeat(ctx, h)
		if err != nil || end.Result != "" {
			return end, err
		}
	}
	return HeartbeatEnd{}, storage.Refuse(storage.CodeUnavailable, nil).
		CausedBy(fmt.Errorf("a heartbeat was not counted in %d rounds, and each time nothing was against it", heartbeatRounds))
}

func (db *DB) countHeartbeat(ctx context.Context, h Heartbeat) (bool, error) {
	args := []any{
		h.TokenHash, h.Version, h.Channel, h.Platform, h.Arch, h.OSVersion, Now(),
		h.DeviceID, h.TokenHash, h.DeviceID, storage.TenantActive,
	}
	if db.dialect == Postgres {
		n, err := db.Exec(ctx, countHeartbeat(Postgres), args...)
		return n == 1, err
	}
	var n int64
	err := db.InTx(ctx, func(tx *Tx) (err error) {
		n, err = tx.Exec(countHeartbeat(tx.dialect), args...)
		return err
	})
	return n == 1, err
}

// heartbeatFacts are the rows that a heartbeat is judged by.
type heartbeatFacts struct {
	TenantID   string
	UserID     string
	DeviceID   string
	ExpiresAt  Stamp
	RevokedAt  Stamp
	State      storage.TenantState
	Known      bool
	RateMinute int64
	RateCount  int64
	// At is the database's clock, in seconds since the Unix epoch.
	At int64
}

// whyNoHeartbeat says why a heartbeat was not counted; no result says that nothing is against it any more. A device that is not
// known yet becomes so.
func (db *DB) whyNoHeartbeat(ctx context.Context, h Heartbeat) (HeartbeatEnd, error) {
	var f heartbeatFacts
	r := db.g.WithContext(ctx).Raw(`SELECT k.tenant_id, k.user_id, k.device_id, k.expires_at, k.revoked_at, t.state, d.device_id IS NOT NULL AS known,
			COALESCE(d.rate_minute, 0) AS rate_minute, COALESCE(d.rate_count, 0) AS rate_count, `+db.dialect.Epoch()+` AS at
		FROM device_tokens k JOIN tenants t ON t.id = k.tenant_id
		LEFT JOIN release_devices d ON d.tenant_id = k.tenant_id AND d.device_id = k.device_id WHERE k.hash = ?`, h.TokenHash).Scan(&f)
	if r.Error != nil {
		return HeartbeatEnd{}, fmt.Errorf("read why a heartbeat does not count: %w", r.Error)
	}
	minute := f.At / 60
	switch {
	case r.RowsAffected == 0, f.DeviceID != h.DeviceID, f.RevokedAt != 0, f.ExpiresAt <= Stamp(f.At*1_000_000), f.State.Over(), f.State == storage.TenantProvisioning:
		return HeartbeatEnd{Result: HeartbeatBadToken}, nil
	case f.State != storage.TenantActive:
		return HeartbeatEnd{Result: HeartbeatDenied, Tenant: f.State}, nil
	case !f.Known:
		result, err := db.firstHeartbeat(ctx, f, h)
		return HeartbeatEnd{Result: result}, err
	case f.RateCount >= HeartbeatsPerMinute && f.RateMinute >= minute && f.RateMinute <= minute+heartbeatSkew:
		return HeartbeatEnd{Result: HeartbeatTooMany, RetryAfter: max(1, (f.RateMinute+1)*60-f.At)}, nil
	}
	return HeartbeatEnd{}, nil
}

// firstHeartbeat makes a device known; no result when another heartbeat was faster, or the tenant has just ceased to be active. The
// tenant's row is held meanwhile, so that the end of a purge finds the device or comes first, and devices are counted one by one. A
// tenant that is full is so before: no rate bounds its new devices, and each would hold the row while all others are counted.
func (db *DB) firstHeartbeat(ctx context.Context, f heartbeatFacts, h Heartbeat) (result HeartbeatResult, err error) {
	full, err := db.Tenant(ctx, f.TenantID).devicesFull(h.DeviceID, h.MaxDevices)
	if err != nil {
		return "", fmt.Errorf("count devices: %w", err)
	}
	if full {
		return HeartbeatFull, nil
	}
	err = db.InTx(ctx, func(tx *Tx) error {
		result = ""
		t, err := tx.LockTenant(f.TenantID)
		if err != nil || t.State != storage.TenantActive {
			return err
		}
		full, err := tx.Tenant(f.TenantID).devicesFull(h.DeviceID, h.MaxDevices)
		if err != nil {
			return err
		}
		if full { // since then
			result = HeartbeatFull
			return nil
		}
		now := Now()
		made, err := insertNew(tx.g, tx.dialect, &ReleaseDevice{
			TenantID: f.TenantID, DeviceID: h.DeviceID, UserID: f.UserID, Version: h.Version, Channel: h.Channel, Platform: h.Platform,
			Arch: h.Arch, OSVersion: h.OSVersion, Launches: 1, FirstSeenAt: now, LastSeenAt: now, RateMinute: f.At / 60, RateCount: 1,
		})
		if made {
			result = HeartbeatAccepted
		}
		return err
	})
	if err != nil {
		return "", fmt.Errorf("make a device known: %w", err)
	}
	return result, nil
}

// devicesFull says whether the tenant has so many other devices. It reads the primary key of those, and no more; 0 is no limit.
func (t Tenant) devicesFull(device string, most int64) (bool, error) {
	if most == 0 {
		return false, nil
	}
	var n, known int64
	err := t.g.Raw(`SELECT COUNT(*) FROM (SELECT device_id FROM release_devices WHERE tenant_id = ? LIMIT ?) d`, t.id, most).Scan(&n).Error
	if err != nil || n < most {
		return false, err
	}
	// Another heartbeat may just have made it known.
	err = t.rows(&ReleaseDevice{}).Where("device_id = ?", device).Count(&known).Error
	return known == 0, err
}

// ForgetDevices removes devices that were last seen before, and returns how many.
func (db *DB) ForgetDevices(ctx context.Context, before Stamp) (int64, error) {
	var n int64
	err := db.InTx(ctx, func(tx *Tx) error {
		r := tx.g.Delete(&ReleaseDevice{}, "last_seen_at < ?", before)
		n = r.RowsAffected
		return r.Error
	})
	return n, err
}
