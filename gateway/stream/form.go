package stream

import (
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"strings"

	"gatehouse/storage"
)

// FormLimits bound what a form may have beside its file.
type FormLimits struct {
	// Parts is the most parts of a form, the file included.
	Parts int
	// FieldBytes is the most bytes of one field's value.
	FieldBytes int64
	// OverheadBytes is the most bytes before the file's first byte, and again after its last: boundaries, headers,
	// fields.
	OverheadBytes int64
}

// DefaultFormLimits leave room for the handful of fields that HTML forms and client libraries add.
func DefaultFormLimits() FormLimits {
	return FormLimits{Parts: 16, FieldBytes: 8 << 10, OverheadBytes: 64 << 10}
}

// maxBoundary is RFC 2046's limit.
const maxBoundary = 70

// FileField is the name of the form field that carries the file.
const FileField = "file"

// Form reads a multipart/form-data body with exactly one file, part by part: File, then all of the file's bytes,
// then Finish. Its errors are *storage.Error: MALFORMED_REQUEST with a reason, or what the Body ended with.
type Form struct {
	body     *Body
	feed     *feeder
	parts    *multipart.Reader
	boundary string
	limits   FormLimits
	fields   map[string]string
	count    int
	file     *File
}

// File is the file of a form. Read gives its bytes; io.EOF comes only at the closing boundary, never for a body
// that broke off.
type File struct {
	form *Form
	part *multipart.Part
	// start is the offset of the file's first byte in the body.
	start int64
	read  int64
	done  bool

	// Name is the file name as sent: separators and control characters are still in it.
	Name string
	// MediaType is what the client says the file is, unchecked, possibly empty.
	MediaType string
	// Size is how large the file is, judged by Content-Length: exact for the forms that common clients send, too
	// large by what follows the file in others. Reserve on it.
	Size int64
	// The true size is never outside MinSize and MaxSize. Refuse as too large early only when MinSize is too large.
	// A file may turn out up to MaxSize-Size (2) bytes larger than Size: some clients end their forms without a line
	// break.
	MinSize, MaxSize int64
}

// NewForm begins to read the form in body. contentType is the request's header.
func NewForm(body *Body, contentType string, limits FormLimits) (*Form, error) {
	if body.Declared() == 0 && body.Ended() {
		return nil, malformed(reasonNotMultipart)
	}
	kind, params, err := mime.ParseMediaType(contentType)
	if kind != "multipart/form-data" {
		if strings.HasPrefix(strings.ToLower(strings.TrimSpace(contentType)), "multipart/form-data") {
			return nil, malformed(reasonNoBoundary)
		}
		return nil, malformed(reasonNotMultipart)
	}
	boundary := params["boundary"]
	if err != nil || boundary == "" || len(boundary) > maxBoundary || strings.ContainsAny(boundary, "\r\n") {
		return nil, malformed(reasonNoBoundary)
	}
	feed := newFeeder(body, boundary, limits.OverheadBytes)
	return &Form{
		body:     body,
		feed:     feed,
		parts:    multipart.NewReader(feed, boundary),
		boundary: boundary,
		limits:   limits,
		fields:   map[string]string{},
	}, nil
}

// Fields are the fields read so far by name: those before the file after File, all after Finish.
func (f *Form) Fields() map[string]string { return f.fields }

// File reads up to the first byte of the file.
func (f *Form) File() (*File, error) {
	for {
		part, err := f.next()
		if err != nil {
			return nil, err
		}
		if part == nil {
			return nil, malformed(reasonNoFile)
		}
		d, err := f.field(part)
		if err != nil {
			return nil, err
		}
		if !d.hasFile {
			continue
		}
		if d.filename == "" { // a browser's form with no file chosen
			return nil, malformed(reasonNoFile)
		}
		file := &File{form: f, part: part, Name: d.filename, MediaType: part.Header.Get("Content-Type"), start: f.feed.passed}
		file.Size, file.MaxSize = fileSize(f.body.Declared(), file.start, f.boundary)
		// After the file come its closing boundary, counted above, and at most OverheadBytes.
		file.MinSize = max(0, file.MaxSize-f.limits.OverheadBytes)
		f.feed.bulk = true
		f.file = file
		return file, nil
	}
}

// next moves to the next part; without a part and an error the form is closed.
func (f *Form) next() (*multipart.Part, error) {
	part, err := f.parts.NextRawPart()
	if err == io.EOF { // only at the closing boundary: the body's end is errBodyEnd
		return nil, nil
	}
	if err != nil {
		return nil, f.explain(err)
	}
	if f.count++; f.count > f.limits.Parts {
		return nil, malformed(reasonTooManyParts)
	}
	return part, nil
}

// field reads a part that is no file into the fields; a part that is one is only looked at.
func (f *Form) field(part *multipart.Part) (disposition, error) {
	values := part.Header["Content-Disposition"]
	if len(values) != 1 {
		return disposition{}, malformed(reasonBadDisposition)
	}
	d, err := parseDisposition(values[0])
	switch {
	case err != nil:
		return d, malformed(reasonBadDisposition).CausedBy(err)
	case d.hasFile && f.file != nil:
		return d, malformed(reasonSecondFile)
	case d.hasFile && d.name != FileField:
		return d, malformed(reasonWrongField)
	case d.hasFile:
		return d, nil
	case d.name == FileField:
		return d, malformed(reasonNoFile)
	}
	if _, ok := f.fields[d.name]; ok {
		return d, malformed(reasonRepeatedField)
	}
	value, err := io.ReadAll(io.LimitReader(part, f.limits.FieldBytes+1))
	if err != nil {
		return d, f.explain(err)
	}
	if int64(len(value)) > f.limits.FieldBytes {
		return d, malformed(reasonFieldTooLarge)
	}
	f.fields[d.name] = string(value)
	return d, nil
}

// Finish reads what follows the file to the end of the body. Only when it returns nil is the upload complete and
// well-formed; the file's bytes must have been read to io.EOF before.
func (f *Form) Finish() error {
	if f.file == nil || !f.file.done {
		return malformed(reasonBrokenForm).CausedBy(errors.New("finish before the end of the file"))
	}
	for {
		part, err := f.next()
		if err != nil {
			return err
		}
		if part == nil {
			break
		}
		if _, err := f.field(part); err != nil {
			return err
		}
	}
	// What follows the closing boundary means nothing (RFC 2046), but it must have arrived.
	if _, err := io.Copy(io.Discard, f.feed); !errors.Is(err, errBodyEnd) {
		return f.explain(err)
	}
	return nil
}

// boundTail is called at the file's end: all that may follow is known then, since the body's length is.
func (file *File) boundTail() error {
	closing := int64(len("\r\n--" + file.form.boundary + "--"))
	if file.form.body.Declared()-file.start-file.read-closing > file.form.limits.OverheadBytes {
		return malformed(reasonFieldTooLarge)
	}
	return nil
}

// explain turns a parser's error into a refusal. When the body ended badly, that is the cause, whatever the parser
// made of it.
func (f *Form) explain(err error) error {
	var refusal *storage.Error
	switch {
	case f.body.broken():
		return f.body.err
	case errors.As(err, &refusal):
		return refusal
	case errors.Is(err, errBudget), errors.Is(err, multipart.ErrMessageTooLarge):
		return malformed(reasonFieldTooLarge).CausedBy(err)
	}
	return malformed(reasonBrokenForm).CausedBy(err)
}

// Read reads the file's bytes.
func (file *File) Read(p []byte) (int, error) {
	n, err := file.part.Read(p)
	file.read += int64(n)
	switch {
	case err == nil:
		return n, nil
	case err == io.EOF: //nolint:errorlint // the parser's own end of part; a broken body is ErrUnexpectedEOF
		if !file.done {
			file.done = true
			if terr := file.boundTail(); terr != nil {
				return n, terr
			}
		}
		return n, io.EOF
	}
	return n, file.form.explain(err)
}
