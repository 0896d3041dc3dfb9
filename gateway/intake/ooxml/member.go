package ooxml

import (
	"bufio"
	"compress/flate"
	"errors"
	"hash/crc32"
	"io"

	"gatehouse/storage"
)

// unpacker inflates one member after the other through the same buffers.
type unpacker struct {
	body    io.ReaderAt
	packed  *bufio.Reader // the compressed bytes of the current member, and no byte beyond
	inflate io.ReadCloser
	plain   *bufio.Reader // what the current member unpacks to
}

// headLen is how much of a member can be peeked at: enough for every magic number in content.go, and for the
// header of a Windows program behind its DOS stub.
const headLen = 4 << 10

func newUnpacker(body io.ReaderAt) *unpacker {
	return &unpacker{
		body:    body,
		packed:  bufio.NewReaderSize(nil, 16<<10),
		inflate: flate.NewReader(nil),
		plain:   bufio.NewReaderSize(nil, 32<<10),
	}
}

// read unpacks m, lets examine see the plain bytes, reads the rest and demands the size and checksum that the
// directory promised. examine need not read to the end; a promise that was broken counts before its findings.
func (u *unpacker) read(m *member, examine func(*bufio.Reader) error) error {
	u.packed.Reset(io.NewSectionReader(u.body, m.data, m.packed))
	var src io.Reader = u.packed
	if m.method == methodDeflate {
		if err := u.inflate.(flate.Resetter).Reset(u.packed, nil); err != nil {
			return err
		}
		src = u.inflate
	}
	meter := &meter{r: src, left: m.size}
	u.plain.Reset(meter)
	found := examine(u.plain)
	if _, err := io.Copy(io.Discard, u.plain); err != nil {
		return broken(m, err)
	}
	if _, err := u.packed.ReadByte(); !errors.Is(err, io.EOF) || meter.left != 0 || meter.crc != m.crc {
		return refuse(zipMismatch, storage.Details{"part": m.name})
	}
	return found
}

// broken names what stopped the unpacking. A fault of our own disk is told apart by the caller.
func broken(m *member, err error) error {
	if errors.Is(err, errTooLong) {
		return refuse(zipMismatch, storage.Details{"part": m.name})
	}
	refusal := storage.Refuse(storage.CodeContentUnsafe, storage.Details{"part": m.name})
	return refusal.Because(zipDamaged).CausedBy(err)
}

var errTooLong = errors.New("member is longer than it says")

// meter counts and sums what is read and stops at the promised size: the cap that makes bombs harmless.
type meter struct {
	r    io.Reader
	left int64 // bytes still promised
	crc  uint32
}

func (t *meter) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	t.left -= int64(n)
	if t.left < 0 {
		return 0, errTooLong
	}
	t.crc = crc32.Update(t.crc, crc32.IEEETable, p[:n])
	return n, err
}
