package operator

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"golang.org/x/crypto/argon2"

	"gatehouse/storage"
)

// cost is what one Argon2id hash takes.
type cost struct {
	Memory  uint32 // KiB
	Time    uint32
	Threads uint8
}

// owasp is the least that OWASP's cheat sheet on password storage recommends: 19 MiB, two passes, one lane.
// https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html#argon2id
var owasp = cost{Memory: 19 * 1024, Time: 2, Threads: 1}

// maxCost bounds what a stored hash may ask for: a row must not take the program's memory.
var maxCost = cost{Memory: 256 * 1024, Time: 16, Threads: 16}

const (
	saltBytes = 16
	hashBytes = 32
	// hashWait is how long a password waits for its turn.
	hashWait = 5 * time.Second
)

// hashes hashes passwords, few at a time: each takes its memory.
type hashes struct {
	cost  cost
	slots chan struct{}
	wait  time.Duration
	// nobody is the hash of no password, for names that do not exist.
	nobody string
}

func newHashes() *hashes {
	h := &hashes{cost: owasp, slots: make(chan struct{}, min(4, max(2, runtime.NumCPU()))), wait: hashWait}
	random := make([]byte, saltBytes+hashBytes)
	rand.Read(random)
	h.nobody = encode(h.cost, random[:saltBytes], random[saltBytes:])
	return h
}

// turn waits for a slot; the function it gives returns it.
func (h *hashes) turn(ctx context.Context) (func(), error) {
	timer := time.NewTimer(h.wait)
	defer timer.Stop()
	select {
	case h.slots <- struct{}{}:
		return func() { <-h.slots }, nil
	case <-ctx.Done():
		return nil, storage.Refuse(storage.CodeUnavailable, nil).CausedBy(ctx.Err())
	case <-timer.C:
		return nil, refuse(storage.CodeUnavailable, "login_busy",
			"Too many passwords are being checked at this moment; try again in a few seconds.", "当前正在校验的密码过多；请几秒后再试。")
	}
}

// hash makes the PHC string of a password.
func (h *hashes) hash(ctx context.Context, password string) (string, error) {
	done, err := h.turn(ctx)
	if err != nil {
		return "", err
	}
	defer done()
	salt := make([]byte, saltBytes)
	rand.Read(salt)
	return encode(h.cost, salt, derive(password, salt, h.cost, hashBytes)), nil
}

// matches compares a password with a PHC string, at the cost that the string names.
func (h *hashes) matches(ctx context.Context, phc, password string) (bool, error) {
	c, salt, want, err := decode(phc)
	if err != nil {
		return false, err
	}
	done, err := h.turn(ctx)
	if err != nil {
		return false, err
	}
	defer done()
	return subtle.ConstantTimeCompare(derive(password, salt, c, len(want)), want) == 1, nil
}

// stale reports whether a hash was made at another cost than hashes are made at now.
func (h *hashes) stale(phc string) bool {
	c, _, _, err := decode(phc)
	return err == nil && c != h.cost
}

func derive(password string, salt []byte, c cost, length int) []byte {
	return argon2.IDKey([]byte(password), salt, c.Time, c.Memory, c.Threads, uint32(length))
}

// encode writes the PHC string format: https://github.com/P-H-C/phc-string-format/blob/master/phc-sf-spec.md
func encode(c cost, salt, hash []byte) string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, c.Memory, c.Time, c.Threads,
		b64.EncodeToString(salt), b64.EncodeToString(hash))
}

func decode(phc string) (c cost, salt, hash []byte, err error) {
	bad := errors.New("a stored password hash is not Argon2id in PHC format")
	parts := strings.Split(phc, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return c, nil, nil, bad
	}
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &c.Memory, &c.Time, &c.Threads); err != nil || n != 3 {
		return c, nil, nil, bad
	}
	if c.Time == 0 || c.Threads == 0 || c.Memory > maxCost.Memory || c.Time > maxCost.Time || c.Threads > maxCost.Threads {
		return c, nil, nil, bad
	}
	salt, saltErr := base64.RawStdEncoding.DecodeString(parts[4])
	hash, hashErr := base64.RawStdEncoding.DecodeString(parts[5])
	if saltErr != nil || hashErr != nil || len(salt) < 8 || len(hash) < 16 || len(hash) > 64 {
		return c, nil, nil, bad
	}
	return c, salt, hash, nil
}
