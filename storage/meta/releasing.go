package meta

// Unreferenced is how many bytes of the tenant's ledger are of blobs that nobody refers to, with their variants, and when
// the last of them was left; the sweeper frees them.
func (t Tenant) Unreferenced() (bytes int64, last Stamp, err error) {
	var sum struct {
		Bytes  int64
		LastAt Stamp
	}
	err = t.g.Raw(`SELECT COALESCE(SUM(size + variants), 0) AS bytes, COALESCE(MAX(unreferenced_at), 0) AS last_at FROM (
			SELECT b.size, b.unreferenced_at, COALESCE((SELECT SUM(v.size) FROM variants v
				WHERE v.tenant_id = b.tenant_id AND v.sha256 = b.sha256), 0) AS variants
			FROM blobs b WHERE b.tenant_id = ? AND b.refs = 0 AND b.unreferenced_at > 0) held`, t.id).Scan(&sum).Error
	return sum.Bytes, sum.LastAt, err
}
