package audit

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"gatehouse/storage/meta"
)

// fileFormat is in the header of a file.
const fileFormat = "gatehouse-audit-1"

// line is one line of a file; one of its fields is set. A file is a header, links with checkpoints behind those they are
// about, and an end.
type line struct {
	Header     *header         `json:"header,omitempty"`
	Seal       *sealLine       `json:"seal,omitempty"`
	Record     json.RawMessage `json:"record,omitempty"`
	Checkpoint *Checkpoint     `json:"checkpoint,omitempty"`
	End        *ending         `json:"end,omitempty"`
}

type header struct {
	Format    string      `json:"format"`
	PublicKey string      `json:"public_key"`
	FirstSeq  int64       `json:"first_seq"`
	PrevHash  string      `json:"prev_hash"`
	MadeAt    time.Time   `json:"made_at"`
	Chains    []chainLine `json:"chains"`
}

type sealLine struct {
	Seq      int64      `json:"seq"`
	Hash     string     `json:"hash"`
	MAC      string     `json:"mac"`
	SealedAt meta.Stamp `json:"sealed_at"`
}

type chainLine struct {
	ChainID   string     `json:"chain_id"`
	FirstSeq  int64      `json:"first_seq"`
	PrevHash  string     `json:"prev_hash"`
	BeganAt   meta.Stamp `json:"began_at"`
	Reason    string     `json:"reason"`
	GivesUp   string     `json:"gives_up"`
	Signature string     `json:"signature"`
}

// ending closes a file: SHA256 is of all lines before it. Without a key the signature is empty.
type ending struct {
	Records   int64  `json:"records"`
	LastSeq   int64  `json:"last_seq"`
	SHA256    string `json:"sha256"`
	Signature string `json:"signature"`
}

func splitList(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

// recordTable writes and reads records as the snapshots do, every byte of every text.
func recordTable() (meta.Table, error) {
	tables, err := meta.Tables()
	if err != nil {
		return meta.Table{}, err
	}
	for _, t := range tables {
		if t.Name == (meta.AuditRecord{}).TableName() {
			return t, nil
		}
	}
	return meta.Table{}, errors.New("the schema has no audit log")
}

// packs are the ways to pack a file, by its ending.
const (
	packNone = ""
	packGzip = ".gz"
	packZstd = ".zst"
)

// fileWriter writes a file.
type fileWriter struct {
	pack  io.WriteCloser
	sum   hash.Hash
	key   *Key
	table meta.Table
	n     int64
	last  int64
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

func newFileWriter(w io.Writer, pack string, key *Key, h header) (*fileWriter, error) {
	f := &fileWriter{sum: sha256.New(), key: key, last: h.FirstSeq - 1}
	var err error
	switch pack {
	case packGzip:
		f.pack = gzip.NewWriter(w)
	case packZstd:
		f.pack, err = zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
	default:
		f.pack = nopCloser{w}
	}
	if err == nil {
		f.table, err = recordTable()
	}
	if err != nil {
		return nil, err
	}
	return f, f.write(line{Header: &h})
}

func encodeLine(l line) ([]byte, error) {
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	err := e.Encode(l)
	return buf.Bytes(), err
}

func (f *fileWriter) write(l line) error {
	raw, err := encodeLine(l)
	if err != nil {
		return err
	}
	f.sum.Write(raw)
	_, err = f.pack.Write(raw)
	return err
}

func (f *fileWriter) link(l meta.AuditLink) error {
	record, err := f.table.Encode(&l.Record)
	if err != nil {
		return err
	}
	f.n, f.last = f.n+1, l.Seal.Seq
	s := sealLine{Seq: l.Seal.Seq, Hash: l.Seal.Hash, MAC: l.Seal.MAC, SealedAt: l.Seal.SealedAt}
	return f.write(line{Seal: &s, Record: bytes.TrimSuffix(record, []byte("\n"))})
}

func (f *fileWriter) close() error {
	e := ending{Records: f.n, LastSeq: f.last, SHA256: sumOf(f.sum)}
	if f.key != nil {
		e.Signature = f.key.sign(e.statement())
	}
	return errors.Join(f.write(line{End: &e}), f.pack.Close())
}

func (e ending) statement() []byte {
	return encode(domainFile, number(e.Records), number(e.LastSeq), e.SHA256)
}

const (
	// maxLine bounds one record: the largest texts of the schema hold 16 MiB, and JSON makes more of odd bytes.
	maxLine = 64 << 20
	// maxWindow bounds what a file may make the unpacker hold.
	maxWindow = 32 << 20
)

// fileReader reads a file line by line. What a line says must be all of the line: it is encoded again and compared, so that
// no byte can change without being noticed.
type fileReader struct {
	lines *bufio.Reader
	sum   hash.Hash
	table meta.Table
	close func()
}

// errLine is something in the file that a Gatehouse has not written.
var errLine = errors.New("the line is not as it was written")

func newFileReader(r io.Reader) (*fileReader, error) {
	table, err := recordTable()
	if err != nil {
		return nil, err
	}
	f := &fileReader{sum: sha256.New(), table: table, close: func() {}}
	plain := bufio.NewReaderSize(r, 64<<10)
	head, err := plain.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}): // RFC 1952
		z, err := gzip.NewReader(plain)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errLine, err)
		}
		f.lines = bufio.NewReaderSize(z, 64<<10)
	case bytes.Equal(head, []byte{0x28, 0xb5, 0x2f, 0xfd}): // RFC 8878
		z, err := zstd.NewReader(plain, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errLine, err)
		}
		f.lines, f.close = bufio.NewReaderSize(z, 64<<10), z.Close
	default:
		f.lines = plain
	}
	return f, nil
}

// next reads a line; io.EOF at the end of the file.
func (f *fileReader) next() (line, error) {
	var raw []byte
	for {
		part, err := f.lines.ReadSlice('\n')
		raw = append(raw, part...)
		if len(raw) > maxLine {
			return line{}, fmt.Errorf("%w: it is longer than %d bytes", errLine, maxLine)
		}
		if err == nil {
			break
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err == io.EOF && len(raw) == 0 {
			return line{}, io.EOF
		}
		return line{}, fmt.Errorf("%w: %w", errLine, err)
	}
	var l line
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil {
		return line{}, fmt.Errorf("%w: %w", errLine, err)
	}
	if again, err := encodeLine(l); err != nil || !bytes.Equal(again, raw) {
		return line{}, errLine
	}
	if l.End == nil {
		f.sum.Write(raw)
	}
	return l, nil
}

// linkOf reads seal and record out of a line.
func (f *fileReader) linkOf(l line) (meta.AuditLink, error) {
	row, err := f.table.Decode(l.Record, true)
	if err != nil {
		return meta.AuditLink{}, fmt.Errorf("%w: %w", errLine, err)
	}
	record := row.(*meta.AuditRecord)
	if again, err := f.table.Encode(record); err != nil || !bytes.Equal(bytes.TrimSuffix(again, []byte("\n")), l.Record) {
		return meta.AuditLink{}, errLine
	}
	s := meta.AuditSeal{Seq: l.Seal.Seq, RecordID: record.ID, Hash: l.Seal.Hash, MAC: l.Seal.MAC, SealedAt: l.Seal.SealedAt}
	return meta.AuditLink{Seal: s, Record: *record}, nil
}
