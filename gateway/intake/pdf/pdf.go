package pdf

import (
	"io"

	"gatehouse/gateway/intake/readfault"
	"gatehouse/storage"
)

// Options say what a tenant may upload.
type Options struct {
	// AllowActive accepts scripts, launch actions, attachments and forms that submit. Broken and encrypted
	// files and polyglots are refused nevertheless.
	AllowActive bool
	// MaxInflateBytes bounds what is unpacked from all object streams of one file.
	MaxInflateBytes int64
}

// Check reads the whole file of size bytes and refuses it with CONTENT_UNSAFE. Any other error is a fault of
// body.
func Check(body io.ReaderAt, size int64, opt Options) error {
	source := readfault.New(body)
	if err := checkFrame(source, size); err != nil {
		return source.Judge(err)
	}
	s := &scanner{body: source, size: size, opt: opt, inflateLeft: opt.MaxInflateBytes}
	return source.Judge(s.run())
}

func refuse(r storage.Reason, d storage.Details) error {
	return storage.Refuse(storage.CodeContentUnsafe, d).Because(r)
}
