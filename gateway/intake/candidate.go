package intake

import (
	"io"

	"gatehouse/storage"
)

// Candidate is a file on its way in. The stages fill it from top to bottom: a rule may read only what the
// stages before it have filled.
type Candidate struct {
	// Before any byte: what the client says.

	// Name is the file name as the client sent it; the name rule replaces it by its decoded NFC form.
	Name string
	// DeclaredSize is what the client says the file has, in bytes; -1 when it does not say.
	DeclaredSize int64
	// SizeIsBound: DeclaredSize is not exact, the file has at least that.
	SizeIsBound bool
	// Policy is what the tenant may upload.
	Policy *storage.Policy
	// Ext is the last extension of Name, lower case, no dot; set by the extension rule.
	Ext string
	// Category is what Ext belongs to; set by the extension rule.
	Category storage.Category

	// With the first bytes.

	// Head holds the first bytes of the file: HeadBytes of them, or all of a shorter file.
	Head []byte
	// MediaType is the canonical media type that the bytes show, without parameters; set by the type rule.
	MediaType string

	// With the whole file spooled.

	// Body gives random access to all bytes.
	Body io.ReaderAt
	// Size is the counted size of Body in bytes.
	Size int64
	// SHA512 is that of Body in hex; of release files only.
	SHA512 string
	// Width, Height (pixels, as stored, before EXIF orientation) and Frames of a picture; set by the image rule.
	Width, Height, Frames int64
	// imageEnd is the offset just behind the picture's own data; set by the image rule for the trailer rule.
	imageEnd int64
}

// HeadBytes is how much of a file the head rules see. mimetype reads 3,072 bytes by default; telling OOXML
// from a bare ZIP and HEIC from AVIF needs more where members or brands come late.
const HeadBytes = 8 << 10

// unsafe is the refusal of content that looks like what it says but hides something.
func unsafe(r storage.Reason) error {
	return storage.Refuse(storage.CodeContentUnsafe, nil).Because(r)
}
