package storage

// Category groups files by what may be done with them; it fixes extensions, media types, the size limit and
// the presets.
type Category string

// The categories.
const (
	CategoryImage    Category = "image"
	CategoryVideo    Category = "video"
	CategoryDocument Category = "document"
	CategoryRelease  Category = "release"
)

// Policy is what one tenant may upload right now: the configured limits refined by its plan. Sizes are bytes.
type Policy struct {
	// Categories that are allowed, with their rules. A category that is absent is refused with PLAN_FORBIDS.
	Categories map[Category]CategoryPolicy
	// PDFActiveContent is true when the plan accepts PDFs with scripts, launch actions and attachments.
	PDFActiveContent bool
	// RejectDuplicates makes a duplicate a DUPLICATE_FILE refusal instead of a second asset on the same blob.
	RejectDuplicates bool
	// VariantsOnly is true when the originals of pictures and videos are never served, only what was made of them.
	VariantsOnly bool
	// UpgradeURL is shown with QUOTA_EXCEEDED; it may be empty.
	UpgradeURL string
	Limits     Limits
}

// CategoryPolicy is the rule set of one category.
type CategoryPolicy struct {
	// Extensions in lower case without the dot.
	Extensions []string
	// MaxBytes is the largest file accepted.
	MaxBytes int64
}

// Limits bound what the full rules do with foreign bytes. They come from the configuration section "intake".
type Limits struct {
	// MaxNameBytes bounds a file name after NFC, in UTF-8 bytes (255: NAME_MAX of the common file systems).
	MaxNameBytes int
	// MaxPixels bounds width x height x frames of a picture.
	MaxPixels int64
	// MaxDimension bounds width and height alone (16383: the largest WebP side).
	MaxDimension int64
	// MaxFrames bounds the frames of an animation.
	MaxFrames int64
	// MaxZipMembers bounds the members of an OOXML package.
	MaxZipMembers int
	// MaxZipUnpackedBytes bounds the sum of what all members inflate to.
	MaxZipUnpackedBytes int64
	// MaxReleaseUnpackedBytes bounds what a release file inflates to, and MaxScanBytes each member of it: the scanner would
	// cut a larger one without a word.
	MaxReleaseUnpackedBytes, MaxScanBytes int64
	// MaxZipRatio bounds inflated size over compressed size, of the package and of each member over 1 MiB.
	MaxZipRatio int64
	// MaxPDFInflateBytes bounds what the PDF rule inflates from streams in one file.
	MaxPDFInflateBytes int64
}
