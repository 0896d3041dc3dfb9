package snapshot

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
)

// Format is the version of the layout of snapshots; a snapshot with a higher one cannot be read.
const Format = 1

// Reason says why a snapshot was taken.
type Reason string

// The reasons.
const (
	ReasonDaily         Reason = "daily"
	ReasonManual        Reason = "manual"
	ReasonBeforeRestore Reason = "before_restore"
)

// Manifest describes a snapshot; that it is there makes the snapshot exist.
type Manifest struct {
	Format int    `json:"format"`
	ID     string `json:"id"`
	// Schema is the newest migration of the database, Dialect its kind, Program the version of the program.
	Schema    string       `json:"schema"`
	Dialect   meta.Dialect `json:"dialect"`
	Program   string       `json:"program"`
	CreatedAt time.Time    `json:"created_at"`
	Reason    Reason       `json:"reason"`
	Counts    *Counts      `json:"counts,omitempty"`
	Tables    []Table      `json:"tables"`
}

// Table is one table of a snapshot.
type Table struct {
	Name string `json:"name"`
	Rows int64  `json:"rows"`
	// MaxSerial is the largest of the numbers that the database gave, in tables that have such.
	MaxSerial int64  `json:"max_serial,omitempty"`
	Parts     []Part `json:"parts"`
}

// Part is one object with rows of a table.
type Part struct {
	Name string `json:"name"`
	Rows int64  `json:"rows"`
	// Bytes and SHA256 are of the object as it is stored.
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Rows counts the rows of all tables.
func (m Manifest) Rows() (n int64) {
	for _, t := range m.Tables {
		n += t.Rows
	}
	return n
}

// Bytes counts the bytes of all parts.
func (m Manifest) Bytes() (n int64) {
	for _, t := range m.Tables {
		for _, p := range t.Parts {
			n += p.Bytes
		}
	}
	return n
}

// skew is how far clocks that are right may be apart.
const skew = time.Hour

// OfTheFuture reports whether the clock of whoever took it was ahead, by more than clocks may be: how old it is nobody knows.
func (m Manifest) OfTheFuture(now time.Time) bool { return m.CreatedAt.After(now.Add(skew)) }

const (
	manifestName = "manifest.json"
	// maxManifest bounds what is read as a manifest: 200 bytes a part make parts enough for terabytes.
	maxManifest = 16 << 20
)

// sealed is the file: the manifest with the SHA-256 of its compact form.
type sealed struct {
	SHA256   string          `json:"sha256"`
	Manifest json.RawMessage `json:"manifest"`
}

func seal(m Manifest) ([]byte, error) {
	compact, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(compact)
	return json.MarshalIndent(sealed{SHA256: hex.EncodeToString(sum[:]), Manifest: compact}, "", "  ")
}

// Damage says what is wrong with a snapshot. It is not a passing trouble of the store.
type Damage struct {
	Part    string
	Problem string
}

func (d *Damage) Error() string {
	return fmt.Sprintf("the snapshot is damaged: %s: %s", d.Part, d.Problem)
}

// unseal reads a manifest's file.
func unseal(id string, file []byte) (Manifest, error) {
	var m Manifest
	bad := func(problem string) (Manifest, error) { return m, &Damage{manifestName, problem} }
	var s sealed
	if err := json.Unmarshal(file, &s); err != nil {
		return bad("it is cut or no JSON")
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, s.Manifest); err != nil {
		return bad("it holds no manifest")
	}
	if sum := sha256.Sum256(compact.Bytes()); hex.EncodeToString(sum[:]) != s.SHA256 {
		return bad("its checksum is wrong")
	}
	if err := json.Unmarshal(s.Manifest, &m); err != nil {
		return bad(err.Error())
	}
	if m.ID != id {
		return bad("it is of the snapshot " + m.ID)
	}
	at, err := timeOf(id)
	if apart := m.CreatedAt.Sub(at); err != nil || apart > time.Second || apart < -time.Second {
		return bad("its time is not that of its id")
	}
	return m, nil
}

// ErrNotFound says that there is no such snapshot.
var ErrNotFound = errors.New("there is no such snapshot")

// Latest as an id means the newest snapshot that can be read, is not of the future and was not taken before a restore: such
// a one holds the state that somebody wanted to leave, and is restored by its id only.
const Latest = "latest"

// Manifest reads the manifest of a snapshot; a *Damage when it cannot be believed.
func (s *Store) Manifest(ctx context.Context, id string) (Manifest, error) {
	if id == Latest {
		return s.latest(ctx)
	}
	body, info, err := s.Zone.Open(ctx, id+"/"+manifestName, 0, -1)
	if errors.Is(err, blob.ErrNotExist) || errors.Is(err, blob.ErrKey) {
		return Manifest{}, fmt.Errorf("%w: %s", ErrNotFound, id)
	}
	if err != nil {
		return Manifest{}, err
	}
	file, err := io.ReadAll(io.LimitReader(body, maxManifest+1))
	if err = errors.Join(err, body.Close()); err != nil {
		return Manifest{}, fmt.Errorf("read the manifest of %s: %w", id, err)
	}
	if info.Size > maxManifest {
		return Manifest{}, &Damage{manifestName, "it is too large to be one"}
	}
	return unseal(id, file)
}

func (s *Store) latest(ctx context.Context) (Manifest, error) {
	list, err := s.List(ctx)
	if err != nil {
		return Manifest{}, err
	}
	why := "no snapshot has been taken yet"
	for _, e := range slices.Backward(list) {
		switch {
		case e.Problem != "":
			why = "those that there are are damaged: worker snapshot list"
		case e.OfTheFuture(time.Now()):
			why = "those that there are are of the future, so a clock was or is wrong: name one by its id (worker snapshot list)"
		case e.Reason == ReasonBeforeRestore:
			why = "those that there are were taken before a restore, and hold what it was to mend: name one by its id (worker snapshot list)"
		default:
			return e.Manifest, nil
		}
	}
	return Manifest{}, fmt.Errorf("%w: %s", ErrNotFound, why)
}
