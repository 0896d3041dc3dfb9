package audit

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"gatehouse/storage/meta"
)

// Actor is who did it.
type Actor struct {
	// Kind is one of the constants below.
	Kind string
	ID   string
	// Role is that of an operator, or of the operator's token, when it was done.
	Role string
	// RequestID, Address and UserAgent are those of the HTTP request, if there was one.
	RequestID string
	Address   string
	UserAgent string
	// Trace, where there is one, is told of each record.
	Trace *Trace
}

// Trace knows whether a request has left a record of what it did.
type Trace struct{ records atomic.Int64 }

// Left reports whether there is one. The transaction of it may have been rolled back: then the request has failed.
func (t *Trace) Left() bool { return t != nil && t.records.Load() > 0 }

// The kinds of actor.
const (
	// KindKey is a tenant's API key.
	KindKey = "key"
	// KindOperator is a person with a session, KindToken a program with an operator's API token.
	KindOperator = "operator"
	KindToken    = "operator_token"
	// KindStranger has not proved who they are: a login that failed.
	KindStranger = "stranger"
	KindWorker   = "worker"
	KindCLI      = "cli"
)

// Worker is the actor of what the worker does by itself.
var Worker = Actor{Kind: KindWorker}

// CLI is the actor of what an administrator does on the command line.
var CLI = Actor{Kind: KindCLI}

// The results of an action.
const (
	OK      = "ok"
	Refused = "refused"
	// Failed: nobody refused it, and it could not be done.
	Failed = "failed"
)

// Entry is one record to write.
type Entry struct {
	Actor    Actor
	TenantID string
	// Action is what was done: "asset.upload", "asset.delete", "scan.verdict", "tenant.create" ...
	Action string
	// Target is what it was done to: an asset's id, a blob's digest, a tenant's id.
	Target string
	Result string
	// Code is the refusal's code when Result is Refused.
	Code string
	// Data are further facts; values must be JSON-encodable.
	Data map[string]any
}

// Write appends the record in tx. Fields that come from outside are cut to what their columns hold: a long user
// agent must not fail an upload.
func Write(tx *meta.Tx, e Entry) error { return WriteAll(tx, []Entry{e}) }

// atOnce is how many records one statement has: SQLite takes 32,766 parameters, and a record is a dozen.
const atOnce = 1000

// WriteAll is Write for many records, in as few statements as databases allow.
func WriteAll(tx *meta.Tx, list []Entry) error {
	records := make([]meta.AuditRecord, 0, len(list))
	for _, e := range list {
		if e.Actor.Trace != nil {
			e.Actor.Trace.records.Add(1)
		}
		data := []byte("{}")
		if len(e.Data) > 0 {
			var err error
			if data, err = json.Marshal(e.Data); err != nil {
				return fmt.Errorf("audit %s: %w", e.Action, err)
			}
		}
		records = append(records, meta.AuditRecord{
			At: meta.Now(), ActorKind: e.Actor.Kind, ActorID: clip(e.Actor.ID, 190), ActorRole: e.Actor.Role, TenantID: e.TenantID,
			Action: e.Action, Target: clip(e.Target, 190), Result: e.Result, Code: e.Code,
			RequestID: clip(e.Actor.RequestID, 64), Address: clip(e.Actor.Address, 64),
			UserAgent: clip(e.Actor.UserAgent, 255), Data: mask(string(data)),
		})
	}
	for part := range slices.Chunk(records, atOnce) {
		if err := tx.Create(&part); err != nil {
			return fmt.Errorf("audit %s: %w", part[0].Action, err)
		}
	}
	return nil
}

// secrets are keys and tokens of ours, in whatever text they were sent by mistake: the log is read by many, and for ever.
var secrets = regexp.MustCompile(`gh[a-z]_[A-Za-z0-9_-]{20,}`)

// mask leaves of a secret what tells its kind.
func mask(s string) string {
	return secrets.ReplaceAllStringFunc(s, func(found string) string { return found[:4] + "***" })
}

// clip masks secrets and cuts s to at most n bytes of valid UTF-8 without NUL, which PostgreSQL does not store.
func clip(s string, n int) string {
	s = mask(strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", ""))
	for len(s) > n {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return s
}
