package meta

// VariantsIn lists the variants of all those blobs, in no order.
func (t Tenant) VariantsIn(digests []string) ([]Variant, error) {
	var out []Variant
	return out, t.rows(&Variant{}).Where("sha256 IN ?", digests).Find(&out).Error
}

// DropVariant removes one variant's row; it reports false when it was gone already. The ledger and the object are
// the caller's.
func (t Tenant) DropVariant(sha256, preset string) (bool, error) {
	r := t.rows(&Variant{}).Where("sha256 = ? AND preset = ?", sha256, preset).Delete(&Variant{})
	return r.RowsAffected == 1, r.Error
}

// DropVariants removes all rows of a blob's variants and returns how many bytes of the ledger they were.
func (t Tenant) DropVariants(sha256 string) (int64, error) {
	list, err := t.Variants(sha256)
	if err != nil {
		return 0, err
	}
	var bytes int64
	for _, v := range list {
		dropped, err := t.DropVariant(sha256, v.Preset)
		if err != nil {
			return 0, err
		}
		if dropped {
			bytes += v.Size
		}
	}
	return bytes, nil
}
