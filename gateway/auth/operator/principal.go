package operator

import (
	"time"

	"github.com/gofiber/fiber/v2"

	"gatehouse/storage/audit"
)

// Stage is how far a session has come in proving who it belongs to.
type Stage string

// The stages, in their order. A session begins in one of the first three and is good for nothing but what leads on.
const (
	// StageEnroll: the password was right, and there is no second factor yet (or a recovery code was used): set one up.
	StageEnroll Stage = "enroll"
	// StageVerify: the password was right; a code of the second factor is awaited.
	StageVerify Stage = "verify"
	// StagePassword: both were right, but the password is too old: change it.
	StagePassword Stage = "password"
	// StageFull: everything that the role may do.
	StageFull Stage = "full"
)

// Stages lists them.
var Stages = []Stage{StageEnroll, StageVerify, StagePassword, StageFull}

// Principal is the operator that a request comes from: by a session in a browser, or by an API token of a program.
type Principal struct {
	// OperatorID and Name are the operator's; a token acts for the operator that made it.
	OperatorID string
	Name       string
	// Role is the operator's, of a token the token's own.
	Role  Role
	Stage Stage
	// SessionID is empty for a token, TokenID for a session. Neither is the secret.
	SessionID string
	TokenID   string
	// SteppedUp is when the session last showed a code of its second factor; zero for a token, which never can.
	SteppedUp time.Time
	// CSRF is what the writes of a session must show.
	CSRF string

	// Trace is told of each record that the request leaves in the audit log.
	Trace *audit.Trace

	// proof is the hash of the secret that the session was found by: one that was replaced meanwhile changes nothing any more.
	proof string
}

// Actor describes the principal to the audit log.
func (p *Principal) Actor() audit.Actor {
	if p.TokenID != "" {
		return audit.Actor{Kind: audit.KindToken, ID: p.TokenID, Role: string(p.Role), Trace: p.Trace}
	}
	return audit.Actor{Kind: audit.KindOperator, ID: p.OperatorID, Role: string(p.Role), Trace: p.Trace}
}

// Cookie is the name of a session's cookie. Browsers take one with this prefix only with Secure, for the whole host and
// from the host itself (RFC 6265bis, section 4.1.3.2).
const Cookie = "__Host-gatehouse"

type principalKey struct{}

// Put keeps the principal with its request.
func Put(c *fiber.Ctx, p *Principal) { c.Locals(principalKey{}, p) }

// Of gives the principal of a request that passed the guard of its route; nil of one that begins a login.
func Of(c *fiber.Ctx) *Principal {
	p, _ := c.Locals(principalKey{}).(*Principal)
	return p
}
