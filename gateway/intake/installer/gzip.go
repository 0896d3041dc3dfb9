package installer

import (
	"bufio"
	"compress/gzip"
	"errors"
	"io"
)

// What is wrong with a compressed file.
var (
	ErrDamaged  = errors.New("it cannot be unpacked")
	ErrTooLarge = errors.New("it unpacks to more than is allowed")
	ErrTrailing = errors.New("something lies behind its end")
	ErrContent  = errors.New("what it unpacks to is something else")
)

// Gzip unpacks a file of one gzip stream, at most limit bytes of it, and demands the checksum and nothing behind it: the scanner
// looks at no more. Every error is about the file, or comes from r.
func Gzip(r io.ReaderAt, size, limit int64) error {
	return unpack(r, size, limit, func(plain io.Reader) error {
		_, err := io.Copy(io.Discard, plain)
		return err
	})
}

func unpack(r io.ReaderAt, size, limit int64, read func(io.Reader) error) error {
	packed := bufio.NewReaderSize(io.NewSectionReader(r, 0, size), 64<<10)
	z, err := gzip.NewReader(packed)
	if err != nil {
		return errors.Join(ErrDamaged, err)
	}
	z.Multistream(false)
	plain := &io.LimitedReader{R: z, N: limit + 1}
	err = read(plain)
	if err == nil || errors.Is(err, ErrContent) {
		// What is left is read too: only the end has the checksum.
		if _, rest := io.Copy(io.Discard, plain); rest != nil {
			err = rest
		}
	}
	switch {
	case plain.N <= 0:
		return ErrTooLarge
	case errors.Is(err, ErrContent):
		return err
	case err != nil:
		return errors.Join(ErrDamaged, err)
	}
	if _, err := packed.ReadByte(); !errors.Is(err, io.EOF) {
		return ErrTrailing
	}
	return nil
}
