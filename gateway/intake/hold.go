package intake

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"gatehouse/quota"
)

// hold is the reservation of a running upload, kept alive beside it: reservations live so short that a gateway which
// dies blocks nobody for long.
type hold struct {
	quota.Reservation
	// settling is held while a transaction may take the reservation: that it is gone then is no loss.
	settling sync.Mutex
	settled  bool
	// spent: the reservation became a file.
	spent bool
	stop  func()
}

// keep renews a reservation every third of its life until release, also while nothing is read or the store is slow. The
// context it returns ends with quota.ErrExpired when the reservation is lost all the same.
func (in *Intake) keep(ctx context.Context, r quota.Reservation) (context.Context, *hold) {
	ctx, lose := context.WithCancelCause(ctx)
	end := make(chan struct{})
	var renewing sync.WaitGroup
	h := &hold{Reservation: r, stop: func() {
		close(end)
		lose(nil)
		renewing.Wait()
	}}
	renewing.Go(func() {
		tick := time.NewTicker(max(in.Ledger.TTL/3, time.Millisecond))
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
			}
			if err := h.renew(ctx, in.Ledger, r); errors.Is(err, quota.ErrExpired) {
				lose(err)
				return
			} else if err != nil && ctx.Err() == nil {
				in.Log.Warn("renew a reservation; tried again", "tenant", r.TenantID, "reservation", r.ID, "error", err)
			}
		}
	})
	return ctx, h
}

func (h *hold) renew(ctx context.Context, l quota.Ledger, r quota.Reservation) error {
	h.settling.Lock()
	defer h.settling.Unlock()
	if h.settled {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, bookkeepingTime)
	defer cancel()
	return l.Renew(ctx, r)
}

// settle runs a transaction that may end the upload, as its second result tells.
func (h *hold) settle(transaction func() (Receipt, bool, error)) (Receipt, bool, error) {
	h.settling.Lock()
	defer h.settling.Unlock()
	receipt, done, err := transaction()
	h.settled = done && err == nil
	return receipt, done, err
}

// lost is quota.ErrExpired once the reservation behind a context that keep made is gone, else nil.
func lost(ctx context.Context) error {
	if cause := context.Cause(ctx); errors.Is(cause, quota.ErrExpired) {
		return cause
	}
	return nil
}

// whileHeld reads until the reservation is lost.
type whileHeld struct {
	r    io.Reader
	lost func() error
}

func (w whileHeld) Read(p []byte) (int, error) {
	if err := w.lost(); err != nil {
		return 0, err
	}
	return w.r.Read(p)
}
