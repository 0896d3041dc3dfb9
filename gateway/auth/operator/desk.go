package operator

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
)

// Caller is where a request comes from. Address is the client's, not that of a proxy.
type Caller struct {
	Address   netip.Addr
	UserAgent string
	RequestID string
}

// Desk does what concerns operators' accounts. It is safe for concurrent use.
type Desk struct {
	// Now is the clock.
	Now func() time.Time

	db      *meta.DB
	secrets *secrets
	hashes  *hashes
}

// NewDesk makes a desk. key has 32 bytes; with another one the second factors of all operators are unreadable.
func NewDesk(db *meta.DB, key []byte) (*Desk, error) {
	s, err := newSecrets(key)
	if err != nil {
		return nil, err
	}
	return &Desk{Now: time.Now, db: db, secrets: s, hashes: newHashes()}, nil
}

func (d *Desk) now() meta.Stamp { return meta.StampOf(d.Now()) }

// signed gives an actor where the request comes from.
func (c Caller) signed(a audit.Actor) audit.Actor {
	a.RequestID, a.UserAgent = c.RequestID, c.UserAgent
	if c.Address.IsValid() {
		a.Address = c.Address.String()
	}
	return a
}

func (c Caller) stranger() audit.Actor { return c.signed(audit.Actor{Kind: audit.KindStranger}) }

// refuse makes a refusal with its reason.
func refuse(code storage.Code, slug, english, chinese string) *storage.Error {
	return storage.Refuse(code, nil).Because(storage.Reason{Slug: slug, English: english, Chinese: chinese})
}

// recordTime is how long the record of a refusal may take after its request was given up.
const recordTime = 5 * time.Second

// recordRefusal writes a refusal into the log. The caller is refused whether or not that works; what went wrong is kept as the cause.
func (d *Desk) recordRefusal(ctx context.Context, e audit.Entry, refusal error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	e.Result, e.Code = audit.Refused, string(storage.CodeOf(refusal))
	reason, is := errors.AsType[*storage.Error](refusal)
	if is && reason.Reason != nil {
		if e.Data == nil {
			e.Data = map[string]any{}
		}
		e.Data["reason"] = reason.Reason.Slug
	}
	err := d.db.InTx(ctx, func(tx *meta.Tx) error { return audit.Write(tx, e) })
	if err != nil && is {
		return reason.CausedBy(fmt.Errorf("record the refusal: %w", err))
	}
	return refusal
}
