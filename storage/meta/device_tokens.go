package meta

import (
	"context"
	"time"

	"gorm.io/gorm"
)

// DeviceTokensPerDevice is how many open tokens a device has: an application that asks for one at each start, or is installed twice,
// keeps working, and rows stay few.
const DeviceTokensPerDevice = 5

// DeviceTokenFilter says which tokens are meant. Empty fields do not narrow.
type DeviceTokenFilter struct {
	ID       string
	DeviceID string
	UserID   string
}

func (t Tenant) deviceTokens(f DeviceTokenFilter) *gorm.DB {
	q := t.rows(&DeviceToken{})
	for _, c := range []struct{ column, value string }{{"id", f.ID}, {"device_id", f.DeviceID}, {"user_id", f.UserID}} {
		if c.value != "" {
			q = q.Where(c.column+" = ?", c.value)
		}
	}
	return q
}

// DeviceTokens lists tokens, newest first, behind the id before; an empty one begins.
func (t Tenant) DeviceTokens(f DeviceTokenFilter, before string, limit int) ([]DeviceToken, error) {
	q := t.deviceTokens(f)
	if before != "" {
		q = q.Where("id < ?", before)
	}
	var out []DeviceToken
	return out, q.Order("id DESC").Limit(limit).Find(&out).Error
}

// DeviceTokensFull says whether so many other devices of the tenant have tokens, open or not, that one that has none must not get
// any. 0 is no limit. With DeviceTokensPerDevice it bounds the rows of a tenant. It belongs into a transaction that holds the
// tenant's row.
func (t Tenant) DeviceTokensFull(device string, most int64) (bool, error) {
	if most == 0 {
		return false, nil
	}
	var own []string
	err := t.deviceTokens(DeviceTokenFilter{DeviceID: device}).Limit(1).Pluck("id", &own).Error
	if err != nil || len(own) > 0 {
		return false, err
	}
	var n int64
	err = t.g.Raw(`SELECT COUNT(*) FROM (SELECT DISTINCT device_id FROM device_tokens WHERE tenant_id = ? LIMIT ?) d`, t.id, most).Scan(&n).Error
	return n >= most, err
}

// AddDeviceToken stores a token that is good for so long, by the database's clock, by which it is also judged: those of the gateways
// may differ. Of the device's others those that are over are removed, and of the open ones the oldest are revoked that would be too
// many; it returns these. It belongs into a transaction that holds the tenant's row.
func (t Tenant) AddDeviceToken(token *DeviceToken, age time.Duration) (revoked []DeviceToken, err error) {
	if err := t.g.Raw("SELECT " + t.dialect.clock()).Scan(&token.CreatedAt).Error; err != nil {
		return nil, err
	}
	token.ExpiresAt = token.CreatedAt.Add(age)
	of := DeviceTokenFilter{DeviceID: token.DeviceID}
	if err := t.deviceTokens(of).Where("revoked_at <> 0 OR expires_at <= ?", token.CreatedAt).Delete(&DeviceToken{}).Error; err != nil {
		return nil, err
	}
	var open []DeviceToken
	if err := t.deviceTokens(of).Order("id DESC").Find(&open).Error; err != nil {
		return nil, err
	}
	for _, old := range open[min(len(open), DeviceTokensPerDevice-1):] {
		if _, err := t.RevokeDeviceTokens(DeviceTokenFilter{ID: old.ID}); err != nil {
			return nil, err
		}
		revoked = append(revoked, old)
	}
	return revoked, t.g.Create(token).Error
}

// RevokeDeviceTokens ends the tokens that are open, and returns how many. It is one statement, so that a user with a hundred
// thousand devices can be shut out at once, and it needs no lock of the tenant: one that is made meanwhile comes after it.
func (t Tenant) RevokeDeviceTokens(f DeviceTokenFilter) (int64, error) {
	now := t.dialect.clock()
	r := t.deviceTokens(f).Where("revoked_at = 0 AND expires_at > "+now).Update("revoked_at", gorm.Expr(now))
	return r.RowsAffected, r.Error
}

// ForgetDeviceTokens removes tokens that were over before the stamp, and returns how many.
func (db *DB) ForgetDeviceTokens(ctx context.Context, before Stamp) (int64, error) {
	var n int64
	err := db.InTx(ctx, func(tx *Tx) error {
		r := tx.g.Delete(&DeviceToken{}, "expires_at < ?", before)
		n = r.RowsAffected
		return r.Error
	})
	return n, err
}
