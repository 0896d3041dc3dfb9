package intake

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"log/slog"
	"time"

	"gatehouse/quota"
	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/settings"
)

// Intake receives uploads. All fields but Room are required; it is safe for concurrent use.
type Intake struct {
	DB     *meta.DB
	Zones  *blob.Zones
	Ledger quota.Ledger
	Spool  Spool
	// Room guards the spool's disk; nil lets every upload in.
	// Settings say whether uploads are accepted now; nil: they are.
	Settings *settings.Live
	Room     *Room
	Log      *slog.Logger
	// Refused is told the rule's name (or the step's) and the code of every refusal, for the metrics.
	Refused func(rule string, code storage.Code)
}

// Upload is one file that somebody wants to bring in.
type Upload struct {
	TenantID string
	Policy   storage.Policy
	// Limits is what the plan asks of one more upload.
	Limits quota.Limits
	Actor  audit.Actor
	// Name is the file name as the client sent it.
	Name string
	// DeclaredSize is the best that is known before the bytes arrive, -1 when nothing is; quota is reserved on it.
	DeclaredSize int64
	// MinSize is what the file has at least, where the transport can only bound it; the size rules go by it. Zero
	// means that DeclaredSize is exact.
	MinSize int64
	// Body gives the bytes; its error refuses the upload as it is.
	Body io.Reader
	// Complete, when set, is asked after the last byte of Body and before anything is stored: an error says that
	// the request around the file did not end as it should.
	Complete func() error
	// Digests are what the client claims; each is checked, none is believed.
	Digests []Digest
	// IdempotencyKey makes a repeated request give the first one's asset. Empty: none.
	IdempotencyKey string
}

// Receipt says what became of an accepted upload.
type Receipt struct {
	Asset meta.AssetView
	// Duplicate: the bytes were there already; the asset shares them.
	Duplicate bool
	// Replayed: the Idempotency-Key was used before; this is the asset it made then.
	Replayed bool
	// Mended: the bytes mended a damaged asset that was there, and the plan allows no second one on the same bytes, or
	// has no room for it.
	Mended bool
}

// bookkeepingTime bounds the work that must be done even when the client has gone: releasing a reservation,
// recording a refusal.
const bookkeepingTime = 30 * time.Second

// Receive takes a file through every check into the quarantine zone. When it returns without an error, bytes
// and rows are durable. When it refuses, nothing is left behind but the record of the refusal.
func (in *Intake) Receive(ctx context.Context, up Upload) (Receipt, error) {
	c := &Candidate{Name: up.Name, DeclaredSize: up.DeclaredSize, Policy: &up.Policy}
	if up.MinSize > 0 {
		c.DeclaredSize, c.SizeIsBound = up.MinSize, true
	}
	receipt, step, err := in.receive(ctx, up, c)
	if err != nil {
		in.record(ctx, up, c, step, err)
	}
	return receipt, err
}

// RecordRefusal writes a refusal that came before Receive could be called: by the request's headers or its form.
func (in *Intake) RecordRefusal(ctx context.Context, up Upload, step string, err error) {
	in.record(ctx, up, &Candidate{Name: up.Name}, step, err)
}

// Preflight runs the rules that need no bytes, and says whether the quota has room now: the answer of a dialog
// before it sends anything.
func (in *Intake) Preflight(ctx context.Context, tenantID string, policy storage.Policy, limits quota.Limits, name string, size int64) (*Candidate, error) {
	c := &Candidate{Name: name, DeclaredSize: size, Policy: &policy}
	if err := in.paused(ctx); err != nil {
		return c, err
	}
	if _, err := run(preflightRules, c); err != nil {
		return c, err
	}
	tenant := in.DB.Tenant(ctx, tenantID)
	q, err := tenant.Quota()
	if err != nil {
		return c, err
	}
	// What time brings back is not asked: the upload comes later.
	refusal := quota.Limits{MaxFiles: limits.MaxFiles}.Refuse(q, max(size, 0))
	return c, withUpgrade(in.Ledger.Explain(tenant, refusal), policy)
}

// receive is the life of an upload, from top to bottom; step names where it ended.
func (in *Intake) receive(ctx context.Context, up Upload, c *Candidate) (_ Receipt, step string, err error) {
	if err := in.paused(ctx); err != nil {
		return Receipt{}, "paused", err
	}
	if rule, err := run(preflightRules, c); err != nil {
		return Receipt{}, rule, err
	}

	place, err := in.Room.enter(up.DeclaredSize, up.Policy.Categories[c.Category].MaxBytes)
	if err != nil {
		return Receipt{}, "spool", err
	}
	defer place.leave()
	up.Body = place.counts(up.Body)

	reservation, err := in.reserve(ctx, up)
	if err != nil {
		return Receipt{}, "quota", withUpgrade(err, up.Policy)
	}
	held, h := in.keep(ctx, reservation)
	defer in.release(ctx, h)
	receipt, step, err := in.take(held, up, c, h)
	h.spent = err == nil && !receipt.Replayed && !receipt.Mended
	if err != nil {
		// What failed because of it is not why.
		err = cmp.Or(lost(held), err)
	}
	return receipt, step, err
}

// take is the life of an upload that has its room.
func (in *Intake) take(ctx context.Context, up Upload, c *Candidate, h *hold) (_ Receipt, step string, err error) {
	sum, long := sha256.New(), hash.Hash(nil)
	arriving := io.Writer(sum)
	if c.Category == storage.CategoryRelease { // update clients go by it, and nobody else pays for it
		long = sha512.New()
		arriving = io.MultiWriter(sum, long)
	}
	limit := up.Policy.Categories[c.Category].MaxBytes
	body := whileHeld{io.TeeReader(up.Body, arriving), func() error { return lost(ctx) }}
	c.Head, err = readHead(body, up.DeclaredSize)
	if err != nil {
		return Receipt{}, "body", err
	}
	if rule, err := run(headRules, c); err != nil {
		return Receipt{}, rule, err
	}

	spooled, err := in.Spool.Fill(c.Head, body, up.DeclaredSize, limit)
	if err != nil {
		return Receipt{}, "body", tooLarge(err, c, limit)
	}
	defer spooled.Close()
	if up.Complete != nil {
		if err := up.Complete(); err != nil {
			return Receipt{}, "body", err
		}
	}
	c.Body, c.Size = spooled, spooled.Size()
	digest := hex.EncodeToString(sum.Sum(nil))
	if long != nil {
		c.SHA512 = hex.EncodeToString(long.Sum(nil))
	}
	if err := checkDigests(up.Digests, digest, c.SHA512, spooled); err != nil {
		return Receipt{}, "digest", err
	}
	if rule, err := run(fullRules, c); err != nil {
		return Receipt{}, rule, err
	}

	ctx, cancel := context.WithTimeout(ctx, storeTime(c.Size))
	defer cancel()
	receipt, err := in.store(ctx, up, c, digest, spooled, h)
	return receipt, "store", err
}

func (in *Intake) reserve(ctx context.Context, up Upload) (quota.Reservation, error) {
	ctx, cancel := context.WithTimeout(ctx, bookkeepingTime)
	defer cancel()
	bytes, limits := max(up.DeclaredSize, 0), up.Limits
	if up.IdempotencyKey != "" {
		// The repetition of an upload that was accepted needs no room: the answer to it was lost, that is all.
		_, err := in.DB.Tenant(ctx, up.TenantID).Idempotent(up.IdempotencyKey)
		switch {
		case err == nil:
			bytes, limits.NoRoom = 0, true
		case !errors.Is(err, storage.ErrNotFound):
			return quota.Reservation{}, err
		}
	}
	r, err := in.Ledger.Reserve(ctx, up.TenantID, bytes, limits)
	if storage.CodeOf(err) != storage.CodeQuotaExceeded {
		return r, err
	}
	// Bytes that only mend what is damaged are counted already. Who declares their digest before sending them is let in.
	mends, merr := in.mends(ctx, up)
	switch {
	case merr != nil:
		return r, merr
	case !mends:
		return r, err
	}
	limits.NoRoom = true
	return in.Ledger.Reserve(ctx, up.TenantID, 0, limits)
}

// mends reports whether the upload claims to be the bytes of a blob that somebody has and that is damaged, whether or not
// anybody has noticed.
func (in *Intake) mends(ctx context.Context, up Upload) (bool, error) {
	for _, d := range up.Digests {
		if d.Algorithm != DigestSHA256 {
			continue
		}
		b, err := in.DB.Tenant(ctx, up.TenantID).Blob(hex.EncodeToString(d.Value))
		if errors.Is(err, storage.ErrNotFound) {
			return false, nil
		}
		if err != nil || b.Refs == 0 || b.Sweeping || b.Damage != "" {
			return err == nil && b.Refs > 0 && !b.Sweeping, err
		}
		damage, err := in.damageOf(ctx, b)
		return damage != "", err
	}
	return false, nil
}

// storeTime bounds putting the object and writing the rows: two minutes, and a second for each MiB, which any
// store that works is faster than.
func storeTime(size int64) time.Duration {
	return 2*time.Minute + time.Duration(size>>20)*time.Second
}

// run walks a list of rules and tells which one refused.
func run(rules []Rule, c *Candidate) (string, error) {
	for _, r := range rules {
		if err := r.Check(c); err != nil {
			return r.Name, err
		}
	}
	return "", nil
}

// readHead reads the bytes that the head rules see.
func readHead(r io.Reader, declared int64) ([]byte, error) {
	size := int64(HeadBytes)
	if declared >= 0 {
		// One byte more than declared would still be noticed by the spool.
		size = min(size, max(declared, 1))
	}
	head := make([]byte, size)
	n, err := io.ReadFull(r, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	if n == 0 {
		return nil, storage.Refuse(storage.CodeFileEmpty, nil)
	}
	return head[:n], nil
}

func tooLarge(err error, c *Candidate, limit int64) error {
	if errors.Is(err, errOverLimit) {
		return storage.Refuse(storage.CodeFileTooLarge, storage.Details{"limit": limit, "category": string(c.Category)})
	}
	return err
}

func withUpgrade(err error, p storage.Policy) error {
	e, ok := errors.AsType[*storage.Error](err)
	if ok && e.Code == storage.CodeQuotaExceeded {
		e.Details["upgrade_url"] = p.UpgradeURL
	}
	return err
}

// release ends a hold and gives back what was not settled, whether or not the client is still there.
func (in *Intake) release(ctx context.Context, h *hold) {
	h.stop()
	if h.spent {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bookkeepingTime)
	defer cancel()
	if err := in.Ledger.Release(ctx, h.Reservation); err != nil {
		// It expires by itself; until then the tenant has that much less.
		in.Log.Error("release reservation", "tenant", h.TenantID, "reservation", h.ID, "bytes", h.Bytes, "error", err)
	}
}

// record writes a refusal to the audit log. Trouble of our own is not a refusal: the edge logs it.
func (in *Intake) record(ctx context.Context, up Upload, c *Candidate, step string, err error) {
	refusal, ok := errors.AsType[*storage.Error](err)
	if !ok || refusal.Code == storage.CodeUnavailable {
		return
	}
	in.Refused(step, refusal.Code)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bookkeepingTime)
	defer cancel()
	data := map[string]any{"name": c.Name, "declared_size": up.DeclaredSize, "step": step}
	if refusal.Reason != nil {
		data["reason"] = refusal.Reason.Slug
	}
	if c.MediaType != "" {
		data["media_type"] = c.MediaType
	}
	if err := in.DB.InTx(ctx, func(tx *meta.Tx) error {
		return audit.Write(tx, audit.Entry{
			Actor: up.Actor, TenantID: up.TenantID, Action: "asset.upload", Result: audit.Refused,
			Code: string(refusal.Code), Data: data,
		})
	}); err != nil {
		in.Log.Error("record refusal", "tenant", up.TenantID, "code", refusal.Code, "error", err)
	}
}
