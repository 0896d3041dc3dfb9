package meta

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
)

// factDisk opens the names of the facts about disks, one a program and host.
const factDisk = "disk."

// DiskFact is what a program last saw of the file systems that it uses.
type DiskFact struct {
	Program string    `json:"program"`
	Host    string    `json:"host"`
	Disks   []DiskUse `json:"disks"`
	At      Stamp     `json:"at"`
}

// DiskUse is the state of one file system, in bytes. Free is what this program may still write, which is less than
// Total - Used where the system keeps a reserve for root.
type DiskUse struct {
	// Uses says what the program keeps there: spool, store, database, data.
	Uses  []string `json:"uses"`
	Path  string   `json:"path"`
	Mount string   `json:"mount"`
	Total int64    `json:"total"`
	Used  int64    `json:"used"`
	Free  int64    `json:"free"`
	// Files and FilesFree count inodes; both are zero where the file system does not count them.
	Files     int64 `json:"files,omitempty"`
	FilesFree int64 `json:"files_free,omitempty"`
}

// SetDisks tells what was seen. Programs of one kind on one host that use other folders have facts of their own.
func (db *DB) SetDisks(ctx context.Context, f DiskFact) error {
	raw, err := json.Marshal(f)
	if err != nil {
		return err
	}
	places := []string{f.Program, f.Host}
	for _, d := range f.Disks {
		places = append(places, d.Path)
	}
	hash := sha256.Sum256([]byte(strings.Join(places, "\x00")))
	return db.SetFact(ctx, factDisk+f.Program+"."+hex.EncodeToString(hash[:])[:32], string(raw))
}

// Disks lists what programs have seen since `since`.
func (db *DB) Disks(ctx context.Context, since Stamp) ([]DiskFact, error) {
	rows, err := db.FactsLike(ctx, factDisk, since)
	if err != nil {
		return nil, err
	}
	out := make([]DiskFact, len(rows))
	for i, r := range rows {
		if err := json.Unmarshal([]byte(r.Value), &out[i]); err != nil {
			return nil, fmt.Errorf("fact %s: %w", r.Name, err)
		}
	}
	return out, nil
}

// ForgetDisks removes what programs told before `before` and not since.
func (db *DB) ForgetDisks(ctx context.Context, before Stamp) error {
	return db.ForgetFacts(ctx, factDisk, before)
}

// sizeOf asks each kind of database for the size of this one, in bytes.
var sizeOf = map[Dialect]string{
	SQLite:   "SELECT (SELECT page_count FROM pragma_page_count()) * (SELECT page_size FROM pragma_page_size())",
	Postgres: "SELECT pg_database_size(current_database())",
	MySQL: "SELECT CAST(COALESCE(SUM(data_length + index_length), 0) AS SIGNED) FROM information_schema.tables " +
		"WHERE table_schema = database()",
}

// Size is how large the database is, in bytes, as it says itself.
func (db *DB) Size(ctx context.Context) (int64, error) {
	var n int64
	err := db.g.WithContext(ctx).Raw(sizeOf[db.dialect]).Scan(&n).Error
	return n, err
}
