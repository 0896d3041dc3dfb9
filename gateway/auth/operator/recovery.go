package operator

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
)

const (
	recoveryCodes = 10
	// recoveryBytes is the entropy of each: 80 bits, sixteen letters and digits to type.
	recoveryBytes = 10
)

var recoveryAlphabet = base32.StdEncoding.WithPadding(base32.NoPadding)

func (d *Desk) newRecoveryCodes(operatorID string) (codes, hashes []string) {
	for range recoveryCodes {
		raw := make([]byte, recoveryBytes)
		rand.Read(raw)
		text := recoveryAlphabet.EncodeToString(raw)
		codes = append(codes, text[:4]+"-"+text[4:8]+"-"+text[8:12]+"-"+text[12:])
		hashes = append(hashes, d.recoveryHash(operatorID, text))
	}
	return codes, hashes
}

// recoveryHash is what is stored of a code: with a key, so that the database alone is nothing to search in.
func (d *Desk) recoveryHash(operatorID, code string) string {
	code = strings.ToUpper(strings.NewReplacer("-", "", " ", "").Replace(code))
	return hex.EncodeToString(d.secrets.tag("recovery", operatorID, code))
}

// Recover takes a recovery code instead of one of the second factor. The old device is good for nothing any more: the session may only
// set up another one, and all other sessions end. Until that is done a login takes a further recovery code.
func (d *Desk) Recover(ctx context.Context, c Caller, p *Principal, code string) (Ticket, error) {
	if err := p.at(StageVerify); err != nil {
		return Ticket{}, err
	}
	g, err := d.beginSession(ctx, c, p, "operator.recover")
	if err != nil {
		return Ticket{}, err
	}
	var t Ticket
	err = d.db.InTx(ctx, func(tx *meta.Tx) error {
		now := d.now()
		ok, err := tx.UseRecoveryCode(p.OperatorID, d.recoveryHash(p.OperatorID, code), now)
		if err == nil && ok {
			ok, err = tx.DropTOTP(p.OperatorID, now)
		}
		if err != nil {
			return fmt.Errorf("use a recovery code: %w", err)
		}
		if !ok {
			return errCode
		}
		if _, err := tx.EndSessions(p.OperatorID, p.SessionID, now); err != nil {
			return fmt.Errorf("end the other sessions: %w", err)
		}
		if t, err = d.advance(tx, p, StageEnroll, false, now); err != nil {
			return err
		}
		if err := g.right(tx, true); err != nil {
			return err
		}
		return audit.Write(tx, audit.Entry{Actor: g.actor, Action: g.action, Target: p.Name, Result: audit.OK})
	})
	if errors.Is(err, errCode) {
		return Ticket{}, d.fail(ctx, g, errCode)
	}
	return t, err
}
