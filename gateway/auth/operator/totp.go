package operator

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"errors"
	"fmt"
	"net/url"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
)

// The codes are those of RFC 6238 as every authenticator makes them: SHA-1, six digits, thirty seconds.
const (
	totpPeriod = 30
	// totpSkew is how many steps a clock may be off.
	totpSkew = 1
	// totpSecretBytes is the length of a SHA-1, as RFC 4226 recommends.
	totpSecretBytes = 20
	totpIssuer      = "Gatehouse"
)

// Enrollment is what an authenticator needs to know. It is shown while the second factor is set up and never again.
type Enrollment struct {
	Secret string `json:"secret"`
	URI    string `json:"uri"`
}

// stepOf finds the step of time whose code this is.
func stepOf(secret, code string, unix int64) (int64, bool) {
	var found int64
	for step := unix/totpPeriod - totpSkew; step <= unix/totpPeriod+totpSkew; step++ {
		want, err := hotp.GenerateCodeCustom(secret, uint64(step), hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		if err == nil && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			found = step
		}
	}
	return found, found != 0
}

// BeginTOTP makes the secret of a second factor and keeps it with the session until a code of it is shown.
func (d *Desk) BeginTOTP(ctx context.Context, _ Caller, p *Principal) (Enrollment, error) {
	if err := p.at(StageEnroll); err != nil {
		return Enrollment{}, err
	}
	raw := make([]byte, totpSecretBytes)
	rand.Read(raw)
	secret := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(raw)
	err := d.db.InTx(ctx, func(tx *meta.Tx) error {
		ok, err := tx.SetPendingSecret(p.SessionID, p.proof, d.secrets.sealed(p.OperatorID, secret))
		if err == nil && !ok {
			err = errEnded
		}
		return err
	})
	if err != nil {
		return Enrollment{}, err
	}
	uri := url.URL{
		Scheme: "otpauth", Host: "totp", Path: "/" + totpIssuer + ":" + p.Name,
		RawQuery: "secret=" + secret + "&issuer=" + totpIssuer + "&algorithm=SHA1&digits=6&period=30",
	}
	return Enrollment{Secret: secret, URI: uri.String()}, nil
}

// ConfirmTOTP ends the set-up of the second factor with a code of it, and gives the recovery codes, this once. All other sessions of the
// operator end.
func (d *Desk) ConfirmTOTP(ctx context.Context, c Caller, p *Principal, code string) (Ticket, []string, error) {
	if err := p.at(StageEnroll); err != nil {
		return Ticket{}, nil, err
	}
	s, err := d.db.SessionByHash(ctx, p.proof)
	if errors.Is(err, storage.ErrNotFound) {
		return Ticket{}, nil, errEnded
	}
	if err != nil {
		return Ticket{}, nil, fmt.Errorf("read the session: %w", err)
	}
	if s.PendingSecret == "" {
		return Ticket{}, nil, refuse(storage.CodeConflict, "enroll_first", "Begin the set-up of the second factor first.", "请先开始设置二次验证。")
	}
	g, err := d.beginSession(ctx, c, p, "operator.enroll")
	if err != nil {
		return Ticket{}, nil, err
	}
	secret, err := d.secrets.open(p.OperatorID, s.PendingSecret)
	if err != nil {
		return Ticket{}, nil, d.unjudged(ctx, g, err)
	}
	step, ok := stepOf(secret, code, d.Now().Unix())
	if !ok {
		return Ticket{}, nil, d.fail(ctx, g, errCode)
	}
	codes, hashes := d.newRecoveryCodes(p.OperatorID)
	t, err := d.proved(ctx, g, p, func(tx *meta.Tx, now meta.Stamp) error {
		ok, err := tx.SetTOTP(p.OperatorID, s.PendingSecret, step, now)
		if err != nil {
			return fmt.Errorf("set the second factor: %w", err)
		}
		if !ok {
			return refuse(storage.CodeConflict, "enrolled_already", "The account has a second factor by now.", "该账户已设置二次验证。")
		}
		if err := tx.ReplaceRecoveryCodes(p.OperatorID, hashes); err != nil {
			return fmt.Errorf("keep the recovery codes: %w", err)
		}
		_, err = tx.EndSessions(p.OperatorID, p.SessionID, now)
		return err
	})
	if err != nil {
		return Ticket{}, nil, err
	}
	return t, codes, nil
}

// Verify proves the second factor after a password. The session is a full one, unless the password is too old.
func (d *Desk) Verify(ctx context.Context, c Caller, p *Principal, code string) (Ticket, error) {
	return d.showCode(ctx, c, p, StageVerify, "operator.verify", code)
}

// showCode judges a code of the second factor and uses it up.
func (d *Desk) showCode(ctx context.Context, c Caller, p *Principal, stage Stage, action, code string) (Ticket, error) {
	if err := p.at(stage); err != nil {
		return Ticket{}, err
	}
	g, err := d.beginSession(ctx, c, p, action)
	if err != nil {
		return Ticket{}, err
	}
	o, err := d.db.OperatorBy(ctx, p.OperatorID)
	if err != nil {
		return Ticket{}, d.unjudged(ctx, g, fmt.Errorf("read the operator: %w", err))
	}
	if o.TOTPSecret == "" { // a recovery code took it
		return Ticket{}, d.fail(ctx, g, errCode)
	}
	secret, err := d.secrets.open(o.ID, o.TOTPSecret)
	if err != nil {
		return Ticket{}, d.unjudged(ctx, g, err)
	}
	step, ok := stepOf(secret, code, d.Now().Unix())
	if !ok || step <= o.TOTPStep {
		return Ticket{}, d.fail(ctx, g, errCode)
	}
	t, err := d.proved(ctx, g, p, func(tx *meta.Tx, _ meta.Stamp) error {
		ok, err := tx.UseTOTPStep(o.ID, o.TOTPSecret, step)
		if err == nil && !ok {
			err = errCode
		}
		return err
	})
	if errors.Is(err, errCode) {
		return Ticket{}, d.fail(ctx, g, errCode)
	}
	return t, err
}

// proved takes a session on whose second factor was shown, in one transaction with what `use` does to it.
func (d *Desk) proved(ctx context.Context, g *guess, p *Principal, use func(*meta.Tx, meta.Stamp) error) (Ticket, error) {
	var t Ticket
	err := d.db.InTx(ctx, func(tx *meta.Tx) error {
		now := d.now()
		if err := use(tx, now); err != nil {
			return err
		}
		o, err := tx.LockOperator(p.OperatorID)
		if err != nil {
			return fmt.Errorf("read the operator: %w", err)
		}
		next := StageFull
		if now > o.PasswordAt.Add(passwordMaxAge) && p.Stage != StageFull {
			next = StagePassword
		}
		if t, err = d.advance(tx, p, next, true, now); err != nil {
			return err
		}
		if err := g.right(tx, true); err != nil {
			return err
		}
		return audit.Write(tx, audit.Entry{Actor: g.actor, Action: g.action, Target: p.Name, Result: audit.OK, Data: map[string]any{"stage": next}})
	})
	return t, err
}
