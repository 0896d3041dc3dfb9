package mediatest

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
	"iter"
	"math/rand/v2"
)

// Mutants are n changed copies of a file, numbered, each different from the file and from the others. The same file
// and seed number give the same copies. Some changes know the parts that the format is made of (pieces.go): they swap
// parts and make lengths lie, which gets past the first checks of a decoder far more often than noise does.
func Mutants(file []byte, n int, seedNumber uint64) iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		m := mutator{rand.New(rand.NewPCG(seedNumber, uint64(len(file)))), pieces(file)}
		seen := map[[sha256.Size]byte]bool{sha256.Sum256(file): true}
		for i := range n {
			b := bytes.Clone(file)
			for range 1 + m.IntN(3) {
				b = m.change(b)
			}
			if m.IntN(4) > 0 {
				mend(b)
			}
			for seen[sha256.Sum256(b)] { // a number that stood there anyway, the same cut
				b = m.flip(append(b, 0))
			}
			seen[sha256.Sum256(b)] = true
			if !yield(i, b) {
				return
			}
		}
	}
}

// mend makes the check sums of a PNG right again, as an attacker would: else nothing but them would be tested.
func mend(b []byte) {
	if !bytes.HasPrefix(b, []byte(pngSignature)) {
		return
	}
	for _, p := range pngPieces(b) {
		binary.BigEndian.PutUint32(b[p.end-4:], crc32.ChecksumIEEE(b[p.start+4:p.end-4]))
	}
}

type mutator struct {
	*rand.Rand
	parts []piece // of the file as it was
}

// change makes one change.
func (m mutator) change(b []byte) []byte {
	if len(b) < 8 {
		return append(b, byte(m.Uint32()), 0)
	}
	switch m.IntN(10) {
	case 0, 1:
		return m.flip(b)
	case 2:
		return m.boundary(b)
	case 3, 4:
		return m.lie(b)
	case 5:
		return m.swap(b)
	case 6:
		return m.splice(b)
	case 7:
		return m.drop(b)
	case 8:
		return b[:1+m.IntN(len(b)-1)]
	default:
		return m.noise(b)
	}
}

// flip changes single bits, more often near the start, where headers are.
func (m mutator) flip(b []byte) []byte {
	for range 1 + m.IntN(8) {
		end := len(b)
		if m.IntN(2) == 0 {
			end = min(end, 256)
		}
		b[m.IntN(end)] ^= 1 << m.IntN(8)
	}
	return b
}

// boundary writes a number on which arithmetic breaks.
func (m mutator) boundary(b []byte) []byte {
	values := [][]byte{{0, 0, 0, 0}, {0xff, 0xff, 0xff, 0xff}, {0x7f, 0xff, 0xff, 0xff}, {0x80, 0, 0, 0}, {0, 0, 0, 1}, {0xff, 0xff}, {0x80, 0}, {0, 0}}
	copy(b[m.IntN(len(b)-3):], values[m.IntN(len(values))])
	return b
}

// lie changes the length that a part says it has.
func (m mutator) lie(b []byte) []byte {
	p, ok := m.part(b)
	if !ok || p.lengthBytes == 0 {
		return m.boundary(b)
	}
	field := b[p.lengthAt : p.lengthAt+p.lengthBytes]
	switch m.IntN(4) {
	case 0:
		clear(field)
	case 1:
		for i := range field {
			field[i] = 0xff
		}
	case 2: // a little more or less
		field[len(field)-1] += byte(m.IntN(9) - 4)
		field[0] += byte(m.IntN(2))
	default:
		for i := range field {
			field[i] = byte(m.Uint32())
		}
	}
	return b
}

// swap exchanges two parts.
func (m mutator) swap(b []byte) []byte {
	p, ok := m.part(b)
	q, ok2 := m.part(b)
	if !ok || !ok2 {
		return m.splice(b)
	}
	if q.start < p.start {
		p, q = q, p
	}
	if p.end > q.start { // one in the other
		return m.drop(b)
	}
	out := append([]byte{}, b[:p.start]...)
	out = append(out, b[q.start:q.end]...)
	out = append(out, b[p.end:q.start]...)
	out = append(out, b[p.start:p.end]...)
	return append(out, b[q.end:]...)
}

// splice puts a copy of a stretch somewhere else.
func (m mutator) splice(b []byte) []byte {
	from := m.IntN(len(b))
	size := 1 + m.IntN(min(len(b)-from, 1024))
	if p, ok := m.part(b); ok && m.IntN(2) == 0 {
		from, size = p.start, p.end-p.start
	}
	to := m.IntN(len(b))
	out := append([]byte{}, b[:to]...)
	out = append(out, b[from:from+size]...)
	return append(out, b[to:]...)
}

// drop leaves a part out, or a stretch.
func (m mutator) drop(b []byte) []byte {
	from := m.IntN(len(b))
	to := min(len(b), from+1+m.IntN(64))
	if p, ok := m.part(b); ok && m.IntN(2) == 0 {
		from, to = p.start, p.end
	}
	return append(b[:from:from], b[to:]...)
}

// noise overwrites a stretch.
func (m mutator) noise(b []byte) []byte {
	from := m.IntN(len(b))
	for i := from; i < min(len(b), from+1+m.IntN(32)); i++ {
		b[i] = byte(m.Uint32())
	}
	return b
}

// part picks a part that still lies within the bytes.
func (m mutator) part(b []byte) (piece, bool) {
	if len(m.parts) == 0 {
		return piece{}, false
	}
	p := m.parts[m.IntN(len(m.parts))]
	return p, p.end <= len(b)
}
