package bmff

import (
	"encoding/binary"
	"strings"
)

// Brands are what an ftyp box claims the file to be.
type Brands struct {
	Major      string
	Compatible []string
}

// ParseBrands reads the ftyp box at the start of head. Brands that lie behind the end of head are left out; ok
// is false when head does not begin with a plausible ftyp.
func ParseBrands(head []byte) (b Brands, ok bool) {
	if len(head) < 16 || string(head[4:8]) != "ftyp" {
		return b, false
	}
	size := binary.BigEndian.Uint32(head)
	// Text may hold "ftyp" at its fifth byte; no real list of brands comes near 64 KiB.
	if size < 16 || size > 64<<10 {
		return b, false
	}
	b.Major = string(head[8:12])
	list := head[16:min(int(size), len(head))]
	for ; len(list) >= 4; list = list[4:] {
		b.Compatible = append(b.Compatible, string(list[:4]))
	}
	return b, true
}

// The brands by family. Sources: ISO/IEC 23008-12 (HEIF), the AVIF specification, mp4ra.org.
var (
	avifBrands = []string{"avif", "avis"}
	heicBrands = []string{"heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs"}
	heifBrands = []string{"mif1", "mif2", "msf1", "miaf"}
	m4vBrands  = []string{"M4V ", "M4VH", "M4VP"}
	m4aBrands  = []string{"M4A ", "M4B ", "M4P ", "F4A ", "F4B "}
	mp4Brands  = []string{
		"isom", "iso2", "iso3", "iso4", "iso5", "iso6", "iso7", "iso8", "iso9", "isoa", "isob", "isoc",
		"mp41", "mp42", "mp71", "avc1", "av01", "hvc1", "hev1", "mmp4", "MSNV", "NDSC", "NDSH", "XAVC",
		"dash", "msdh", "cmfc", "cmf2", "dby1", "MPPI", "ndsm", "ndxc",
	}
)

// MediaType is the media type that the brands stand for, "" when none is known. The major brand decides; where
// it only names a structure (mif1) or a phone's dialect (3gp4), the compatible brands do.
func (b Brands) MediaType() string {
	switch {
	case is(b.Major, avifBrands):
		return "image/avif"
	case is(b.Major, heicBrands):
		return "image/heic"
	case is(b.Major, heifBrands):
		return b.stillType()
	case b.Major == "qt  ", b.Major == "mqt ":
		return "video/quicktime"
	case is(b.Major, m4vBrands):
		return "video/x-m4v"
	case is(b.Major, m4aBrands):
		return "audio/mp4"
	case is(b.Major, mp4Brands):
		return "video/mp4"
	case b.Major == "crx ":
		return "image/x-canon-cr3"
	case b.any(mp4Brands):
		return "video/mp4" // Android writes 3gp4 with isom beside it for what it names .mp4
	case strings.HasPrefix(b.Major, "3g2"):
		return "video/3gpp2"
	case strings.HasPrefix(b.Major, "3g"):
		return "video/3gpp"
	}
	return ""
}

// stillType tells what a HEIF of a structural major brand is coded with.
func (b Brands) stillType() string {
	switch {
	case b.any(avifBrands):
		return "image/avif"
	case b.any(heicBrands):
		return "image/heic"
	}
	return "image/heif"
}

func (b Brands) any(set []string) bool {
	for _, c := range b.Compatible {
		if is(c, set) {
			return true
		}
	}
	return false
}

func is(brand string, set []string) bool {
	for _, s := range set {
		if s == brand {
			return true
		}
	}
	return false
}
