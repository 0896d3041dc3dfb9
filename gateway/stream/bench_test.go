package stream

import (
	"bytes"
	"io"
	"testing"
)

// BenchmarkForm is the cost of taking a form apart, without network and store.
func BenchmarkForm(b *testing.B) {
	for name, size := range map[string]int{"64KiB": 64 << 10, "50MiB": 50 << 20} {
		raw := []byte(part(`name="file"; filename="a.bin"`, string(bytes.Repeat([]byte("\x00\r\n0123456789abcdef"), size/19))) + closing)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				form, err := NewForm(newBody(bytes.NewReader(raw), nil, int64(len(raw)), DefaultPace()), formType, DefaultFormLimits())
				if err != nil {
					b.Fatal(err)
				}
				file, err := form.File()
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.CopyBuffer(io.Discard, struct{ io.Reader }{file}, make([]byte, 64<<10)); err != nil {
					b.Fatal(err)
				}
				if err := form.Finish(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
