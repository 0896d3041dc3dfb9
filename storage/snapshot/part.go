package snapshot

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"

	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
)

// partWriter packs lines into a temporary file without a name: a store wants to know how long a part is.
type partWriter struct {
	file  *os.File
	pack  *zstd.Encoder
	sum   hash.Hash
	rows  int64
	plain int64 // bytes of lines so far
}

func newPartWriter(dir string) (*partWriter, error) {
	f, err := os.CreateTemp(dir, "snapshot-*")
	if err != nil {
		return nil, fmt.Errorf("spool a part: %w", err)
	}
	p := &partWriter{file: f, sum: sha256.New()}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("spool a part: %w", err), f.Close())
	}
	// One goroutine: a nightly export is in nobody's hurry. The checksum of zstd itself is on by default.
	p.pack, err = zstd.NewWriter(io.MultiWriter(f, p.sum), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("spool a part: %w", err), f.Close())
	}
	return p, nil
}

func (p *partWriter) write(line []byte) error {
	p.rows++
	p.plain += int64(len(line))
	if _, err := p.pack.Write(line); err != nil {
		return fmt.Errorf("spool a part: %w", err)
	}
	return nil
}

// store puts the part into the zone; the writer is used up.
func (p *partWriter) store(ctx context.Context, zone blob.Bucket, key string) (part Part, err error) {
	defer func() { err = errors.Join(err, p.file.Close()) }()
	if err := p.pack.Close(); err != nil {
		return Part{}, fmt.Errorf("spool a part: %w", err)
	}
	size, err := p.file.Seek(0, io.SeekCurrent)
	if err == nil {
		_, err = p.file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return Part{}, fmt.Errorf("spool a part: %w", err)
	}
	if err := zone.Put(ctx, key, p.file, size, blob.PutOptions{ContentType: "application/zstd"}); err != nil {
		return Part{}, err
	}
	return Part{Rows: p.rows, Bytes: size, SHA256: hex.EncodeToString(p.sum.Sum(nil))}, nil
}

const (
	// maxLine bounds one row: the largest texts of the schema are some kilobytes, MySQL's type holds 16 MiB.
	maxLine = 64 << 20
	// maxWindow bounds what a part may make the unpacker hold; ours ask for 8 MiB.
	maxWindow = 32 << 20
)

// counted reads an object, counts and hashes it, and remembers how reading it failed.
type counted struct {
	r   io.Reader
	sum hash.Hash
	n   int64
	err error
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	c.sum.Write(p[:n])
	if err != nil && err != io.EOF {
		c.err = err
	}
	return n, err
}

// readPart gives every row of a part to fn, with the length of its line, and no more rows and bytes than the manifest
// names. What is wrong with the part is a *Damage, and may show only after the last row: until then nothing that was
// read is certain.
func (s *Store) readPart(ctx context.Context, id string, t meta.Table, p Part, strict bool, fn func(row any, size int) error) (err error) {
	body, _, err := s.Zone.Open(ctx, id+"/"+p.Name, 0, -1)
	if errors.Is(err, blob.ErrNotExist) || errors.Is(err, blob.ErrKey) {
		return &Damage{p.Name, "it is missing"}
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	c := &counted{r: io.LimitReader(body, p.Bytes+1), sum: sha256.New()}
	rows, err := readLines(c, t, p.Rows, strict, fn)
	if d, ok := errors.AsType[*Damage](err); ok {
		d.Part = p.Name
		if c.err != nil { // the store failed, not the part
			return fmt.Errorf("read %s: %w", p.Name, c.err)
		}
	}
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, c); err != nil {
		return fmt.Errorf("read %s: %w", p.Name, err)
	}
	switch {
	case c.n > p.Bytes:
		return &Damage{p.Name, fmt.Sprintf("it has more than %d bytes", p.Bytes)}
	case c.n < p.Bytes:
		return &Damage{p.Name, fmt.Sprintf("it has %d bytes instead of %d", c.n, p.Bytes)}
	case hex.EncodeToString(c.sum.Sum(nil)) != p.SHA256:
		return &Damage{p.Name, "its checksum is wrong"}
	case rows != p.Rows:
		return &Damage{p.Name, fmt.Sprintf("it has %d rows instead of %d", rows, p.Rows)}
	}
	return nil
}

func readLines(r io.Reader, t meta.Table, limit int64, strict bool, fn func(row any, size int) error) (rows int64, err error) {
	unpack, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return 0, &Damage{Problem: err.Error()}
	}
	defer unpack.Close()
	lines := bufio.NewScanner(unpack)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	for lines.Scan() {
		if rows++; rows > limit { // a few bytes can unpack to rows without end
			return rows, &Damage{Problem: fmt.Sprintf("it has more than %d rows", limit)}
		}
		row, err := t.Decode(lines.Bytes(), strict)
		if err != nil {
			return rows, &Damage{Problem: fmt.Sprintf("line %d: %v", rows, err)}
		}
		if err := fn(row, len(lines.Bytes())); err != nil {
			return rows, err
		}
	}
	if err := lines.Err(); err != nil {
		return rows, &Damage{Problem: fmt.Sprintf("after line %d: %v", rows, err)}
	}
	return rows, nil
}
