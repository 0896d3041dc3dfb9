package stream

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"

	"gatehouse/storage"
)

// FuzzMultipart: no bytes make the form panic, miscount or hold more than its limits; whatever way the bytes are cut
// into reads, the answer is the same; and a file that is accepted lies in the body where its size says.
func FuzzMultipart(f *testing.F) {
	captured, err := filepath.Glob("testdata/captured/*.http")
	if err != nil || len(captured) == 0 {
		f.Fatal("no captured bodies", err)
	}
	for _, name := range captured {
		raw, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		head, body, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
		_, boundary, _ := bytes.Cut(head, []byte("boundary="))
		boundary, _, _ = bytes.Cut(boundary, []byte("\r\n"))
		f.Add(bytes.ReplaceAll(body, boundary, []byte("XbX")), 0)
	}
	file := part(`name="file"; filename="a.txt"`, "data")
	f.Add([]byte(file+file+closing), 3)
	f.Add([]byte("--XbX\nContent-Disposition: form-data; name=file; filename=a\n\ndata\n--XbX--\n"), 0)
	f.Add([]byte("--XbX\r\nContent-Disposition: form-data; name=file; filename*=utf-8''%2525\r\n\r\n--XbX--"), 0)
	f.Add([]byte(part(`name="a"`, "1")+file+part(`name="b"`, "")+closing+"epilogue"), 7)
	f.Fuzz(func(t *testing.T, raw []byte, missing int) {
		declared := int64(len(raw) + missing&0xff)
		read := func(r io.Reader) (*Form, *File, []byte, error) {
			body := newBody(r, nil, declared, Pace{})
			form, err := NewForm(body, formType, DefaultFormLimits())
			if err != nil {
				return nil, nil, nil, err
			}
			file, data, err := readForm(form)
			return form, file, data, err
		}
		form, file, data, err := read(bytes.NewReader(raw))
		_, file2, data2, err2 := read(iotest.OneByteReader(bytes.NewReader(raw)))
		if storage.CodeOf(err) != storage.CodeOf(err2) || !bytes.Equal(data, data2) || (file == nil) != (file2 == nil) {
			t.Fatalf("the cut into reads changes the answer: %v, %q / %v, %q", err, data, err2, data2)
		}
		if err != nil {
			if _, ok := errors.AsType[*storage.Error](err); !ok {
				t.Fatalf("%v is no refusal", err)
			}
		}
		if file == nil {
			return
		}
		if file.Size < 0 || file.MinSize < 0 || file.MinSize > file.Size || file.Size > file.MaxSize {
			t.Fatalf("sizes %d <= %d <= %d", file.MinSize, file.Size, file.MaxSize)
		}
		if file.Size != file2.Size || file.Name != file2.Name {
			t.Fatalf("two readings: %+v, %+v", file, file2)
		}
		if err != nil {
			return
		}
		if n := int64(len(data)); n < file.MinSize || n > file.MaxSize {
			t.Fatalf("%d bytes, but promised %d to %d", n, file.MinSize, file.MaxSize)
		}
		if !bytes.HasPrefix(raw[file.start:], data) {
			t.Fatalf("the file is not where its size says")
		}
		if !form.body.Ended() || form.body.Consumed() != int64(len(raw)) || form.feed.passed != declared {
			t.Fatalf("consumed %d, passed %d of %d", form.body.Consumed(), form.feed.passed, len(raw))
		}
	})
}

// FuzzDisposition: no header panics, and what is accepted is read the same when it is written again.
func FuzzDisposition(f *testing.F) {
	f.Add(`form-data; name="file"; filename="a\"b.txt"`)
	f.Add(`form-data; name=file; filename*=utf-8''%E6%8A%A5`)
	f.Add(`form-data; name="file"; filename="C:\a"; x=y`)
	f.Fuzz(func(t *testing.T, v string) {
		d, err := parseDisposition(v)
		if err == nil && !d.hasFile && d.filename != "" {
			t.Fatalf("%+v", d)
		}
	})
}
