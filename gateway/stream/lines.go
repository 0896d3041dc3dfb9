package stream

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

var (
	errBudget = errors.New("form fields and headers over their limit")
	errBareLF = errors.New("boundary line ends in a bare newline")
	// errBodyEnd is the end of a body that arrived whole. It is not io.EOF, since the parser takes io.EOF inside a
	// part's headers for the end of the form.
	errBodyEnd = errors.New("end of body")
)

// feeder stands between a Body and the standard library's multipart parser, which reads ahead. While the parser
// reads boundaries, headers and fields, the feeder hands out one line a Read, so that the parser's buffer is empty
// at every line end and the feeder's count says exactly where the file's first byte is. The file itself flows
// through in large pieces.
type feeder struct {
	src  *bufio.Reader
	dash []byte // "--" + boundary
	// bulk is true while the file's data is read.
	bulk bool
	// passed is how many bytes were handed out.
	passed int64
	// budget is how many bytes may still be handed out line by line; it bounds everything that is not the file.
	budget int64
	// atStart is true when the next byte begins a line; delimiter, when the current line begins as a boundary;
	// last is the byte handed out last.
	atStart, delimiter bool
	last               byte
	// end holds the line break that is handed out after the body, so that a closing boundary without one (RFC 2046
	// allows it) is a whole line too.
	end string
	err error
}

// feederBuffer is large enough to read from the socket in few system calls. It is the memory of one upload here,
// beside multipart's own 5 KiB.
const feederBuffer = 32 << 10

func newFeeder(r io.Reader, boundary string, budget int64) *feeder {
	return &feeder{
		src:     bufio.NewReaderSize(r, feederBuffer),
		dash:    []byte("--" + boundary),
		budget:  budget,
		end:     "\r\n",
		atStart: true,
	}
}

func (f *feeder) Read(p []byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	var n int
	var err error
	if f.bulk {
		n, err = f.src.Read(p)
	} else {
		n, err = f.line(p)
	}
	f.passed += int64(n)
	if err == io.EOF { //nolint:errorlint // Body's own end
		if n = copy(p, f.end); n > 0 {
			f.end = f.end[n:]
			return n, nil
		}
		err = errBodyEnd
	}
	f.err = err
	return n, err
}

// line hands out at most the rest of the current line.
func (f *feeder) line(p []byte) (int, error) {
	if _, err := f.src.Peek(1); err != nil {
		return 0, err
	}
	if f.atStart {
		f.delimiter = f.atBoundary()
	}
	have, _ := f.src.Peek(f.src.Buffered())
	end := bytes.IndexByte(have, '\n') + 1
	if end == 0 {
		end = len(have)
	}
	n := copy(p, have[:end])
	if f.budget -= int64(n); f.budget < 0 {
		return 0, errBudget
	}
	f.atStart = have[n-1] == '\n'
	if n > 1 {
		f.last = have[n-2]
	}
	if f.atStart && f.delimiter && f.last != '\r' {
		// The parser would take bare newlines for the rest of the body; what the file's size is would then depend
		// on who reads it.
		return 0, errBareLF
	}
	f.last = have[n-1]
	_, err := f.src.Discard(n)
	return n, err
}

// atBoundary reports whether the next bytes are a boundary. It waits for more only while they may become one: a
// client may send the headers and wait for the answer to them.
func (f *feeder) atBoundary() bool {
	for n := 1; ; n++ {
		have, err := f.src.Peek(n)
		if err != nil || !bytes.HasPrefix(f.dash, have) {
			return false
		}
		if n == len(f.dash) {
			return true
		}
	}
}

// fileSize estimates the size of a file whose data begin at offset at of a body of declared bytes. size is exact
// when the file is the last part and the client ends the body as every current one does, with a line break. Some
// leave it away, as RFC 2046 allows (Node before 20.19 and 22.10): their files have most bytes.
func fileSize(declared, at int64, boundary string) (size, most int64) {
	most = max(0, declared-at-int64(len("\r\n--"+boundary+"--")))
	return max(0, most-int64(len("\r\n"))), most
}
