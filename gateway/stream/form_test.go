package stream

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
)

const formType = "multipart/form-data; boundary=XbX"

// part writes one part of a test form.
func part(disposition, value string) string {
	return "--XbX\r\nContent-Disposition: form-data; " + disposition + "\r\n\r\n" + value + "\r\n"
}

const closing = "--XbX--\r\n"

func formOf(t *testing.T, r io.Reader, declared int, contentType string) *Form {
	t.Helper()
	form, err := NewForm(newBody(r, nil, int64(declared), Pace{}), contentType, DefaultFormLimits())
	require.NoError(t, err)
	return form
}

// readForm reads a whole form as a handler does.
func readForm(form *Form) (*File, []byte, error) {
	file, err := form.File()
	if err != nil {
		return nil, nil, err
	}
	data, err := io.ReadAll(file)
	if err != nil {
		return file, data, err
	}
	return file, data, form.Finish()
}

// The bodies were captured from the real clients: curl 7.88, Python requests 2.34, urllib3 2.7, Node 20 fetch, Go.
// The browsers' are written by hand after what they send.
func TestFormOfRealClients(t *testing.T) {
	sample := "line one\r\n--not a boundary\r\n\x00\x01binary\xff\r\n"
	tests := []struct {
		file, name, mediaType, data string
		fields                      map[string]string
	}{
		{"curl", "报告 v1.bin", "application/octet-stream", sample, nil},
		{"curl-fields", "sample.bin", "image/png", sample, map[string]string{"a": "1", "b": "2"}},
		{"curl-empty", "empty.bin", "application/octet-stream", "", nil},
		{"requests", "sample.bin", "", sample, nil},
		{"requests-nonascii", "报告 v1.bin", "", sample, map[string]string{"note": "x"}},
		{"urllib3", "报告 v1.bin", "application/octet-stream", sample, nil},
		{"node-fetch", "报告 v1.bin", "text/plain", sample, nil},
		{"httpclient-go", "报告 v1.bin", "application/octet-stream", sample, nil},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			raw, err := os.ReadFile(filepath.Join("testdata", "captured", tt.file+".http"))
			require.NoError(t, err)
			req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
			require.NoError(t, err)
			form, err := NewForm(newBody(req.Body, nil, req.ContentLength, Pace{}), req.Header.Get("Content-Type"), DefaultFormLimits())
			require.NoError(t, err)
			file, data, err := readForm(form)
			require.NoError(t, err)
			require.Equal(t, tt.data, string(data))
			require.Equal(t, tt.name, file.Name)
			require.Equal(t, tt.mediaType, file.MediaType)
			if tt.fields == nil {
				tt.fields = map[string]string{}
			}
			require.Equal(t, tt.fields, form.Fields())
			if _, trailing := tt.fields["b"]; !trailing {
				require.EqualValues(t, len(tt.data), file.Size, "the size must be exact")
			}
			require.LessOrEqual(t, file.MinSize, int64(len(data)))
			require.GreaterOrEqual(t, file.MaxSize, int64(len(data)))
		})
	}
}

func TestFormSizes(t *testing.T) {
	const head = "--XbX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\nContent-Type: text/plain\r\n\r\n"
	big := strings.Repeat("0123456789abcde\n", 8_000)
	tests := []struct {
		name, before, data, end string
		off                     int64 // Size minus the true size
	}{
		{"Chromium, Firefox, Safari", "", big, "\r\n" + closing, 0},
		{"empty", "", "", "\r\n" + closing, 0},
		{"old Node: no last line break", "", big, "\r\n--XbX--", -2},
		{"fields before", part(`name="a"`, "1") + part(`name="b"`, ""), big, "\r\n" + closing, 0},
		{"preamble", "This is a form.\r\n\r\n", big, "\r\n" + closing, 0},
		{"field behind", "", "data", "\r\n" + part(`name="z"`, "1") + closing, int64(len(part(`name="z"`, "1")))},
		{"epilogue", "", "data", "\r\n" + closing + "bye\r\n", 5},
		{"data like a boundary", "", "\r\n--Xb\r\n--XbXY\r\n--", "\r\n" + closing, 0},
	}
	for _, tt := range tests {
		for _, how := range []string{"whole", "one byte a read"} {
			t.Run(tt.name+", "+how, func(t *testing.T) {
				raw := tt.before + head + tt.data + tt.end
				var r io.Reader = strings.NewReader(raw)
				if how != "whole" {
					r = iotest.OneByteReader(r)
				}
				form := formOf(t, r, len(raw), formType)
				file, data, err := readForm(form)
				require.NoError(t, err)
				require.True(t, tt.data == string(data))
				require.EqualValues(t, int64(len(tt.data))+tt.off, file.Size)
				require.LessOrEqual(t, file.MinSize, int64(len(data)))
				require.GreaterOrEqual(t, file.MaxSize, int64(len(data)))
				require.True(t, form.body.Ended())
			})
		}
	}
}

func TestFormRefusals(t *testing.T) {
	file := part(`name="file"; filename="a.txt"`, "data")
	long := strings.Repeat("x", 9<<10)
	tests := []struct {
		name, raw, reason string
	}{
		{"no part", closing, "no_file"},
		{"only fields", part(`name="a"`, "1") + closing, "no_file"},
		{"file field without a file name", part(`name="file"`, "data") + closing, "no_file"},
		{"no file chosen in a browser", part(`name="file"; filename=""`, "") + closing, "no_file"},
		{"two files", file + file + closing, "second_file"},
		{"second file under another name", file + part(`name="x"; filename="b"`, "") + closing, "second_file"},
		{"file under another name", part(`name="upload"; filename="a"`, "data") + closing, "wrong_field"},
		{"never closed", file, "broken_form"},
		{"cut in the boundary", file + "--Xb", "broken_form"},
		{"cut in the headers", "--XbX\r\nContent-Disposition: form-da", "broken_form"},
		{"no form at all", "just some bytes", "broken_form"},
		{"another boundary", strings.ReplaceAll(file+closing, "XbX", "YbY"), "broken_form"},
		{"bare newlines", strings.ReplaceAll(file+closing, "\r\n", "\n"), "broken_form"},
		{"no disposition", "--XbX\r\nContent-Type: text/plain\r\n\r\nx\r\n" + closing, "bad_disposition"},
		{"two dispositions", "--XbX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\nContent-Disposition: form-data; name=\"file\"; filename=\"b\"\r\n\r\nx\r\n" + closing, "bad_disposition"},
		{"attachment", strings.Replace(file, "form-data", "attachment", 1) + closing, "bad_disposition"},
		{"two file names", part(`name="file"; filename="a"; filename="b"`, "data") + closing, "bad_disposition"},
		{"NUL in a header", part("name=\"file\"; filename=\"a\x00b\"", "data") + closing, "broken_form"},
		{"same field twice", part(`name="a"`, "1") + part(`name="a"`, "2") + file + closing, "repeated_field"},
		{"same field twice around the file", part(`name="a"`, "1") + file + part(`name="a"`, "2") + closing, "repeated_field"},
		{"large field", part(`name="a"`, long) + file + closing, "field_too_large"},
		{"large field behind the file", file + part(`name="a"`, long) + closing, "field_too_large"},
		{"large headers", strings.Replace(file, "\r\n", "\r\nX-Pad: "+strings.Repeat(long, 8)+"\r\n", 1) + closing, "field_too_large"},
		{"large preamble", strings.Repeat("A polite preamble.\r\n", 4000) + file + closing, "field_too_large"},
		{"large epilogue", file + closing + strings.Repeat(long, 8), "field_too_large"},
		{"many parts", manyFields(16) + file + closing, "too_many_parts"},
		{"many parts behind the file", file + manyFields(16) + closing, "too_many_parts"},
		{"data behind a part without a boundary", file[:len(file)-2] + "\r\n--XbX junk\r\n" + closing, "broken_form"},
		{"cut in the headers behind the file", file + "--XbX\r\nContent-Disposition: form-da", "broken_form"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := readForm(formOf(t, strings.NewReader(tt.raw), len(tt.raw), formType))
			refusal(t, err, storage.CodeMalformedRequest, tt.reason)
		})
	}
}

func manyFields(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(part(fmt.Sprintf(`name="f%d"`, i), ""))
	}
	return b.String()
}

func TestFormThatBreaksOffIsIncomplete(t *testing.T) {
	whole := part(`name="a"`, "1") + part(`name="file"; filename="a.txt"`, strings.Repeat("data", 5000)) + part(`name="z"`, "1") + closing
	for cut := 0; cut < len(whole); cut += 1 + len(whole)/700 {
		_, _, err := readForm(formOf(t, strings.NewReader(whole[:cut]), len(whole), formType))
		refusal(t, err, storage.CodeUploadIncomplete, "truncated")
	}
}

func TestFormContentTypes(t *testing.T) {
	for _, ct := range []string{"", "application/octet-stream", "text/plain; boundary=x", "multipart/mixed; boundary=x", "application/json"} {
		_, err := NewForm(newBody(strings.NewReader("x"), nil, 1, Pace{}), ct, DefaultFormLimits())
		refusal(t, err, storage.CodeMalformedRequest, "not_multipart")
	}
	for _, ct := range []string{
		"multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=\"\"", "multipart/form-data; boundary",
		"multipart/form-data; boundary=" + strings.Repeat("b", 71), "multipart/form-data; boundary=a; boundary=b",
	} {
		_, err := NewForm(newBody(strings.NewReader("x"), nil, 1, Pace{}), ct, DefaultFormLimits())
		refusal(t, err, storage.CodeMalformedRequest, "no_boundary")
	}
	_, err := NewForm(newBody(strings.NewReader(""), nil, 0, Pace{}), formType, DefaultFormLimits())
	refusal(t, err, storage.CodeMalformedRequest, "not_multipart")
}

func TestFinishWantsTheWholeFile(t *testing.T) {
	raw := part(`name="file"; filename="a.txt"`, "data") + closing
	form := formOf(t, strings.NewReader(raw), len(raw), formType)
	_, err := form.File()
	require.NoError(t, err)
	refusal(t, form.Finish(), storage.CodeMalformedRequest, "broken_form")
}

func TestParseDisposition(t *testing.T) {
	tests := []struct {
		in, name, file string
		hasFile, bad   bool
	}{
		{in: `form-data; name="a"`, name: "a"},
		{in: `FORM-DATA; NAME=a`, name: "a"},
		{in: `form-data; name="file"; filename="a.txt"`, name: "file", file: "a.txt", hasFile: true},
		{in: `form-data; name=file; filename=a.txt`, name: "file", file: "a.txt", hasFile: true},
		{in: `form-data; name="file"; filename="../../etc/passwd"`, name: "file", file: "../../etc/passwd", hasFile: true},
		{in: `form-data; name="file"; filename="C:\temp\a.txt"`, name: "file", file: `C:\temp\a.txt`, hasFile: true},
		{in: `form-data; name="file"; filename="a\"b\\c.txt"`, name: "file", file: `a"b\c.txt`, hasFile: true},
		{in: `form-data; name="file"; filename="a%22b%0D.txt"`, name: "file", file: "a%22b%0D.txt", hasFile: true},
		{in: `form-data; name="file"; filename="a;b=c.txt"`, name: "file", file: "a;b=c.txt", hasFile: true},
		{in: "form-data; name=\"file\"; filename=\"\xb1\xa8\xb8\xe6.txt\"", name: "file", file: "\xb1\xa8\xb8\xe6.txt", hasFile: true},
		{in: `form-data; name="file"; filename*=utf-8''%E6%8A%A5%2525.txt`, name: "file", file: "报%25.txt", hasFile: true},
		{in: `form-data; name="file"; filename*=UTF-8''%2e%2e%2fa; filename="b"`, name: "file", file: "../a", hasFile: true},
		{in: `form-data; name="file"; filename="b"; filename*=ISO-8859-1'en'%E9t%E9`, name: "file", file: "été", hasFile: true},
		{in: `form-data; name="file"; filename=""`, name: "file", hasFile: true},
		{in: `form-data; name="file"; filename*=UTF-8''%FF`, bad: true},
		{in: `form-data; name="file"; filename*=UTF-8''%zz`, bad: true},
		{in: `form-data; name="file"; filename*=GBK''%B1`, bad: true},
		{in: `form-data; name="file"; filename*=a.txt`, bad: true},
		{in: `form-data; name="file"; filename="a`, bad: true},
		{in: `form-data; name="file"; filename="a"b`, bad: true},
		{in: `form-data; name="file" filename="a"`, bad: true},
		{in: `form-data; name="a"; name="file"`, bad: true},
		{in: `form-data; filename="a"`, bad: true},
		{in: `form-data`, bad: true},
		{in: ``, bad: true},
		{in: `form-data; name=`, bad: true},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			d, err := parseDisposition(tt.in)
			if tt.bad {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, disposition{name: tt.name, filename: tt.file, hasFile: tt.hasFile}, d)
		})
	}
}
