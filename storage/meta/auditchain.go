package meta

import (
	"context"
	"slices"

	"gorm.io/gorm"

	"gatehouse/storage"
)

// auditStateID is the number of the one row.
const auditStateID = 1

// AuditHead reads the head of the chain; storage.ErrNotFound before the first one.
func (db *DB) AuditHead(ctx context.Context) (AuditState, error) {
	var s AuditState
	err := db.g.WithContext(ctx).Take(&s, "id = ?", auditStateID).Error
	return s, notFound(err)
}

// AuditHead is the same in a transaction.
func (tx *Tx) AuditHead() (AuditState, error) {
	var s AuditState
	err := tx.g.Take(&s, "id = ?", auditStateID).Error
	return s, notFound(err)
}

// BeginChain writes where a chain begins and makes it the head; was is the head before, nil without one. It reports false
// when somebody else was quicker.
func (tx *Tx) BeginChain(c AuditChain, was *AuditState) (bool, error) {
	now := AuditState{ID: auditStateID, ChainID: c.ChainID, Seq: c.FirstSeq - 1, Hash: c.PrevHash}
	if was == nil {
		if ok, err := insertNew(tx.g, tx.dialect, &now); err != nil || !ok {
			return false, err
		}
	} else {
		r := unmoved(tx.g, *was).Update("chain_id", c.ChainID)
		if r.Error != nil || r.RowsAffected == 0 {
			return false, r.Error
		}
	}
	return true, tx.g.Create(&c).Error
}

// unmoved narrows to the head as the caller has read it.
func unmoved(g *gorm.DB, was AuditState) *gorm.DB {
	return g.Model(&AuditState{}).Where("id = ? AND chain_id = ? AND seq = ? AND hash = ?", auditStateID, was.ChainID, was.Seq, was.Hash)
}

// AppendSeals moves the head and writes the seals up to it; it reports false, and nothing is written, when another sealer
// has moved the head meanwhile. The caller's transaction ends with it then.
func (tx *Tx) AppendSeals(was AuditState, seals []AuditSeal) (bool, error) {
	last := seals[len(seals)-1]
	r := unmoved(tx.g, was).Updates(map[string]any{"seq": last.Seq, "hash": last.Hash})
	if r.Error != nil || r.RowsAffected == 0 {
		return false, r.Error
	}
	step := len(seals)
	if tx.dialect == SQLite {
		step = liteParams / 5
	}
	for some := range slices.Chunk(seals, step) {
		if err := tx.g.Create(&some).Error; err != nil {
			return false, err
		}
	}
	return true, nil
}

// RaiseWatermark says that every record up to it is sealed, unless the head has moved meanwhile.
func (db *DB) RaiseWatermark(ctx context.Context, was AuditState, watermark int64) error {
	return db.InTx(ctx, func(tx *Tx) error {
		return unmoved(tx.g, was).Where("watermark < ?", watermark).Update("watermark", watermark).Error
	})
}

// The condition on the seals is the same as that on the records: without it a database may look through all seals.
const unsealed = `FROM audit_log a LEFT JOIN audit_seals s ON s.record_id = a.id AND s.record_id > ? WHERE a.id > ? AND s.record_id IS NULL`

// Unsealed lists records behind the number that have no seal, by number.
func (db *DB) Unsealed(ctx context.Context, after int64, limit int) ([]AuditRecord, error) {
	var out []AuditRecord
	err := db.g.WithContext(ctx).Raw("SELECT a.* "+unsealed+" ORDER BY a.id LIMIT ?", after, after, limit).Scan(&out).Error
	return out, err
}

// UnsealedUpTo finds the first record without a seal in (after, upTo]; 0 when there is none.
func (db *DB) UnsealedUpTo(ctx context.Context, after, upTo int64) (int64, error) {
	var id int64
	err := db.g.WithContext(ctx).Raw("SELECT a.id "+unsealed+" AND a.id <= ? ORDER BY a.id LIMIT 1", after, after, upTo).Scan(&id).Error
	return id, err
}

// CountUnsealed counts the records that wait for the sealer and tells when the oldest was written.
func (db *DB) CountUnsealed(ctx context.Context, after int64) (n int64, oldest Stamp, err error) {
	var row struct {
		N      int64
		Oldest Stamp
	}
	err = db.g.WithContext(ctx).Raw("SELECT COUNT(*) AS n, COALESCE(MIN(a.at), 0) AS oldest "+unsealed, after, after).Scan(&row).Error
	return row.N, row.Oldest, err
}

// LastAuditID is the highest number of a record that can be seen.
func (db *DB) LastAuditID(ctx context.Context) (int64, error) {
	var id int64
	err := db.g.WithContext(ctx).Raw("SELECT COALESCE(MAX(id), 0) FROM audit_log").Scan(&id).Error
	return id, err
}

// LastSealedID is the highest number of a record that has a seal.
func (db *DB) LastSealedID(ctx context.Context) (int64, error) {
	var id int64
	err := db.g.WithContext(ctx).Raw("SELECT COALESCE(MAX(record_id), 0) FROM audit_seals").Scan(&id).Error
	return id, err
}

// AuditLinks lists seals behind a place of the chain with their records, in the chain's order.
func (db *DB) AuditLinks(ctx context.Context, after int64, limit int) ([]AuditLink, error) {
	var seals []AuditSeal
	if err := db.g.WithContext(ctx).Where("seq > ?", after).Order("seq").Limit(limit).Find(&seals).Error; err != nil {
		return nil, err
	}
	ids := make([]int64, len(seals))
	for i, s := range seals {
		ids[i] = s.RecordID
	}
	records := make(map[int64]AuditRecord, len(ids))
	for part := range slices.Chunk(ids, sawBatch) {
		var list []AuditRecord
		if err := db.g.WithContext(ctx).Where("id IN ?", part).Find(&list).Error; err != nil {
			return nil, err
		}
		for _, r := range list {
			records[r.ID] = r
		}
	}
	out := make([]AuditLink, len(seals))
	for i, s := range seals {
		out[i] = AuditLink{Seal: s, Record: records[s.RecordID]}
	}
	return out, nil
}

// AuditSealAt reads the seal of a place; storage.ErrNotFound when there is none.
func (db *DB) AuditSealAt(ctx context.Context, seq int64) (AuditSeal, error) {
	var s AuditSeal
	err := db.g.WithContext(ctx).Take(&s, "seq = ?", seq).Error
	return s, notFound(err)
}

// AuditChains lists where chains begin, in the order in which they follow each other.
func (db *DB) AuditChains(ctx context.Context) ([]AuditChain, error) {
	var out []AuditChain
	return out, db.g.WithContext(ctx).Order("first_seq, began_at, chain_id").Find(&out).Error
}

// AuditArchives lists the archives, oldest first.
func (db *DB) AuditArchives(ctx context.Context) ([]AuditArchive, error) {
	var out []AuditArchive
	return out, db.g.WithContext(ctx).Order("first_seq").Find(&out).Error
}

// AuditCheckpoints lists checkpoints behind a place, in the order of the chain.
func (db *DB) AuditCheckpoints(ctx context.Context, after int64, limit int) ([]AuditCheckpoint, error) {
	var out []AuditCheckpoint
	return out, db.g.WithContext(ctx).Where("seq > ?", after).Order("seq").Limit(limit).Find(&out).Error
}

// AuditCheckpointsBefore lists checkpoints in front of a place, the last first; 0 is behind the end.
func (db *DB) AuditCheckpointsBefore(ctx context.Context, before int64, limit int) ([]AuditCheckpoint, error) {
	var out []AuditCheckpoint
	q := db.g.WithContext(ctx)
	if before > 0 {
		q = q.Where("seq < ?", before)
	}
	return out, q.Order("seq DESC").Limit(limit).Find(&out).Error
}

// AddCheckpoint writes a checkpoint; it reports false when there is one at that place.
func (tx *Tx) AddCheckpoint(c AuditCheckpoint) (bool, error) {
	return tx.appendNew(&c, &AuditCheckpoint{}, "seq = ?", c.Seq)
}

// appendNew is insertNew for tables whose triggers refuse even the attempt to insert a row twice.
func (tx *Tx) appendNew(row, model any, where string, key int64) (bool, error) {
	var n int64
	if err := tx.g.Model(model).Where(where, key).Count(&n).Error; err != nil || n > 0 {
		return false, err
	}
	return insertNew(tx.g, tx.dialect, row)
}

// AddArchive writes down that a part of the chain lies in the store. From then on its rows may be deleted.
func (tx *Tx) AddArchive(a AuditArchive) (bool, error) {
	return tx.appendNew(&a, &AuditArchive{}, "first_seq = ?", a.FirstSeq)
}

// DropArchived deletes records and seals that an archive has, at most limit up to the place; it reports how many seals.
func (db *DB) DropArchived(ctx context.Context, upTo int64, limit int) (int64, error) {
	var n int64
	err := db.InTx(ctx, func(tx *Tx) error {
		var seals []AuditSeal
		if err := tx.g.Where("seq <= ?", upTo).Order("seq").Limit(limit).Find(&seals).Error; err != nil || len(seals) == 0 {
			return err
		}
		ids := make([]int64, len(seals))
		for i, s := range seals {
			ids[i] = s.RecordID
		}
		// The records first: their trigger looks for the seals.
		if err := tx.g.Delete(&AuditRecord{}, "id IN ?", ids).Error; err != nil {
			return err
		}
		r := tx.g.Delete(&AuditSeal{}, "seq <= ?", seals[len(seals)-1].Seq)
		n = r.RowsAffected
		return r.Error
	})
	return n, err
}

// AuditSpan finds the part of the chain that has every record written in [since, until]; zero stamps do not bound. It may
// have others in between. ErrNotFound when there is none.
func (db *DB) AuditSpan(ctx context.Context, since, until Stamp) (first, last int64, err error) {
	q := db.g.WithContext(ctx).Table("audit_seals s")
	if since > 0 || until > 0 {
		q = q.Joins("JOIN audit_log a ON a.id = s.record_id")
	}
	if since > 0 {
		q = q.Where("a.at >= ?", since)
	}
	if until > 0 {
		q = q.Where("a.at <= ?", until)
	}
	var row struct{ FirstSeq, LastSeq int64 }
	if err := q.Select("COALESCE(MIN(s.seq), 0) AS first_seq, COALESCE(MAX(s.seq), 0) AS last_seq").Scan(&row).Error; err != nil {
		return 0, 0, err
	}
	if row.FirstSeq == 0 {
		return 0, 0, storage.ErrNotFound
	}
	return row.FirstSeq, row.LastSeq, nil
}
