package pdf

import (
	"bytes"
	"compress/zlib"
	"encoding/ascii85"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
)

var testOptions = Options{MaxInflateBytes: 8 << 20}

// builder writes PDFs with correct offsets.
type builder struct {
	bytes.Buffer
	offsets map[int]int
}

func newBuilder() *builder {
	b := &builder{offsets: map[int]int{}}
	b.WriteString("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
	return b
}

func (b *builder) object(number int, body string) {
	b.offsets[number] = b.Len()
	fmt.Fprintf(b, "%d 0 obj\n%s\nendobj\n", number, body)
}

func (b *builder) stream(number int, entries, data string) {
	b.object(number, fmt.Sprintf("<< %s /Length %d >>\nstream\n%s\nendstream", entries, len(data), data))
}

// table ends a revision with a classic cross-reference table.
func (b *builder) table(trailer string) {
	at, size := b.Len(), 0
	for n := range b.offsets {
		size = max(size, n+1)
	}
	fmt.Fprintf(b, "xref\n0 %d\n0000000000 65535 f \n", size)
	for n := 1; n < size; n++ {
		fmt.Fprintf(b, "%010d 00000 n \n", b.offsets[n])
	}
	fmt.Fprintf(b, "trailer\n<< /Size %d /Root 1 0 R %s >>\nstartxref\n%d\n%%%%EOF\n", size, trailer, at)
}

// document is an ordinary file whose catalog has further entries.
func document(catalog string, more ...func(*builder)) []byte {
	b := newBuilder()
	b.object(1, "<< /Type /Catalog /Pages 2 0 R "+catalog+" >>")
	b.object(2, "<< /Type /Pages /Kids [3 0 R] /Count 1 >>")
	b.object(3, "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>")
	b.stream(4, "", "BT /F1 12 Tf (About /JavaScript, /Launch and /EmbeddedFile) Tj /JS BMC EMC ET")
	b.object(5, "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding << /Differences [ 65 /JS /EF /Launch ] >> >>")
	b.object(6, "<< /Title (How to write /JavaScript \\) in << /JS >>) /Author <2F4A53> >> % /JS (x)")
	for _, f := range more {
		f(b)
	}
	b.table("/Info 6 0 R")
	return b.Bytes()
}

func deflated(s string) string {
	var buf bytes.Buffer
	w := zlib.NewWriter(&buf)
	_, _ = w.Write([]byte(s)) // a bytes.Buffer does not fail
	_ = w.Close()
	return buf.String()
}

func ascii85ed(s string) string {
	out := make([]byte, ascii85.MaxEncodedLen(len(s)))
	return string(out[:ascii85.Encode(out, []byte(s))]) + "~>"
}

func hexed(s string) string { return hex.EncodeToString([]byte(s)) + ">" }

// pngUp applies PNG's "up" filter to rows of n bytes.
func pngUp(s string, n int) string {
	var out strings.Builder
	above := make([]byte, n)
	for len(s) > 0 {
		row := s[:min(n, len(s))]
		out.WriteByte(2)
		for i := range len(row) {
			out.WriteByte(row[i] - above[i])
		}
		copy(above, row)
		s = s[len(row):]
	}
	return out.String()
}

// packed lays out the plain data of an object stream.
func packed(objects ...string) (data string, first int) {
	var table, body strings.Builder
	for i, o := range objects {
		fmt.Fprintf(&table, "%d %d ", 100+i, body.Len())
		body.WriteString(o + "\n")
	}
	return table.String() + body.String(), table.Len()
}

// objectStream adds an object stream that went through encode and is described by filter.
func objectStream(filter string, encode func(string) string, objects ...string) func(*builder) {
	return func(b *builder) {
		data, first := packed(objects...)
		b.stream(20, fmt.Sprintf("/Type /ObjStm /N %d /First %d %s", len(objects), first, filter), encode(data))
	}
}

func plain(s string) string { return s }

func raw(s string) func(*builder) { return func(b *builder) { b.WriteString(s) } }

func check(data []byte, opt Options) error {
	return Check(bytes.NewReader(data), int64(len(data)), opt)
}

// requireReason demands a refusal with that slug, with both sentences; "" demands acceptance.
func requireReason(t testing.TB, slug string, err error) {
	t.Helper()
	if slug == "" {
		require.NoError(t, err)
		return
	}
	var refusal *storage.Error
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, storage.CodeContentUnsafe, refusal.Code)
	require.Equal(t, slug, refusal.Details["reason"], "%v", refusal)
	require.True(t, strings.HasSuffix(refusal.Reason.English, "."))
	require.True(t, strings.HasSuffix(refusal.Reason.Chinese, "。"))
}
