package ffmpeg

import "slices"

// hdr is whether the picture has a high dynamic range: PQ (HDR10, Dolby Vision over it) or HLG (phones).
func (c colour) hdr() bool { return c.transfer == "smpte2084" || c.transfer == "arib-std-b67" }

// wide is whether the colours are more than BT.709 can name.
func (c colour) wide() bool {
	return slices.Contains([]string{"bt2020", "smpte431", "smpte432"}, c.primaries) ||
		c.primaries == "" && slices.Contains([]string{"bt2020nc", "bt2020c"}, c.space)
}

// The words that are believed and that zscale knows. The first three of each are those of standard dynamic range that
// players agree on.
var (
	knownSpaces    = []string{"bt709", "smpte170m", "bt470bg", "bt2020nc", "bt2020c"}
	knownTransfers = []string{"bt709", "smpte170m", "bt470bg", "bt470m", "iec61966-2-1", "bt2020-10", "bt2020-12", "linear"}
	knownPrimaries = []string{"bt709", "smpte170m", "bt470bg", "smpte240m", "bt2020", "smpte431", "smpte432"}
)

// colours is how a track's colours are read, with guesses for what the file does not say, as players make them.
type colours struct {
	colour
	rgb bool
}

func (v videoTrack) colours() colours {
	c := colours{v.colour, rgb(v.pixels)}
	switch {
	case c.hdr():
		c.primaries = pick(c.primaries, knownPrimaries, "bt2020")
		c.space = pick(c.space, knownSpaces, "bt2020nc")
		return c
	case c.wide():
		c.primaries = pick(c.primaries, knownPrimaries, "bt2020")
		c.space = pick(c.space, knownSpaces, "bt709")
		c.transfer = pick(c.transfer, knownTransfers, "bt709")
		return c
	}
	guess := "bt709"
	if min(v.width, v.height) <= 576 && max(v.width, v.height) <= 1024 {
		guess = "smpte170m" // standard definition
	}
	if c.rgb {
		c.space, guess = "bt709", "bt709"
	}
	c.space = pick(c.space, knownSpaces[:3], guess)
	c.primaries = pick(c.primaries, knownPrimaries[:3], c.space)
	c.transfer = pick(c.transfer, knownTransfers[:3], "bt709")
	return c
}

func pick(have string, known []string, guess string) string {
	if slices.Contains(known, have) {
		return have
	}
	return guess
}

// mapped is whether the colours must be computed anew, not only packed in another way.
func (c colours) mapped() bool { return c.hdr() || c.wide() }

// toneMap maps a high dynamic range or wide colours into BT.709.
func (c colours) toneMap() []filter {
	in := []string{"tin=" + c.transfer, "min=" + c.space, "pin=" + c.primaries, "rin=" + c.rangeName()}
	out := []string{"t=bt709", "m=bt709", "r=tv"}
	if !c.hdr() {
		return []filter{{"zscale", append(append(in, "p=bt709"), out...)}}
	}
	return []filter{
		{"zscale", append(in, "t=linear", "npl=100")},
		{"format", []string{"pix_fmts=gbrpf32le"}},
		{"zscale", []string{"p=bt709"}},
		{"tonemap", []string{"tonemap=hable", "desat=0"}},
		{"zscale", out},
	}
}

func (c colours) rangeName() string {
	if c.full {
		return "pc"
	}
	return "tv"
}

// matrices are the scale filter's arguments for what it must convert beside the size.
func (c colours) matrices() []string {
	if c.rgb {
		return []string{"out_color_matrix=bt709", "out_range=tv"}
	}
	return []string{"in_range=" + c.rangeName(), "out_range=tv"}
}

// tags say what the colours are when the chain is through.
func (c colours) tags() []string {
	if c.mapped() {
		c.space, c.primaries, c.transfer = "bt709", "bt709", "bt709"
	}
	return []string{"range=tv", "colorspace=" + c.space, "color_primaries=" + c.primaries, "color_trc=" + c.transfer}
}
