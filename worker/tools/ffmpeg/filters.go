package ffmpeg

import (
	"fmt"
	"strconv"
	"strings"
)

// filter is one of ffmpeg's, with its arguments. Names and arguments are ours and numbers, never a text of a file.
type filter struct {
	name string
	args []string
}

// frameSize is in pixels.
type frameSize struct{ width, height int }

// fit is the largest size of the picture's shape within the edges on its own axis, never enlarged, with even sides
// as 4:2:0 wants them.
func fit(width, height, longEdge, shortEdge int) frameSize {
	long, short := max(width, height), min(width, height)
	scale := min(1, float64(longEdge)/float64(long), float64(shortEdge)/float64(short))
	even := func(side, edge int) int {
		n := 2 * int(float64(side)*scale/2+0.5)
		return max(2, min(n, side&^1, edge&^1))
	}
	if width >= height {
		return frameSize{even(width, longEdge), even(height, shortEdge)}
	}
	return frameSize{even(width, shortEdge), even(height, longEdge)}
}

// picture is the chain from a decoded frame to one that is to be looked at: 8 bits, 4:2:0, limited range, square pixels,
// upright, of the given size, with standard dynamic range and true colour tags. Dear steps come after the shrinking.
func (v videoTrack) picture(to frameSize, maxFPS int) []filter {
	var chain []filter
	add := func(name string, args ...string) { chain = append(chain, filter{name, args}) }
	if v.interlaced() {
		add("bwdif", "mode=send_frame", "parity=auto", "deint=interlaced")
	}
	stored := to
	if v.turn.sideways() {
		stored = frameSize{to.height, to.width}
	}
	size := []string{fmt.Sprintf("w=%d", stored.width), fmt.Sprintf("h=%d", stored.height)}
	c := v.colours()
	if c.mapped() {
		add("scale", size...)
		add("format", "pix_fmts=yuv420p10le")
		chain = append(chain, c.toneMap()...)
	} else {
		add("scale", append(size, c.matrices()...)...)
	}
	chain = append(chain, turnFilters[v.turn]...)
	add("setsar", "sar=1")
	add("format", "pix_fmts=yuv420p")
	add("setparams", c.tags()...)
	if rate := v.constantRate(maxFPS); rate != "" {
		add("fps", "fps="+rate) // last: it doubles frames, and no other filter should work on the copies
	}
	return chain
}

// fpsSlack lets a rate through that is a little over a limit by rounding, such as 60.02.
const fpsSlack = 1.01

// steady is the share of its own rate that a track must keep to count as constant; phones drop some frames.
const steady = 0.95

// A film of a few frames with hours between them must not become hours of encoding: frames are doubled to at most
// maxDoubled times as many as there are, or to sparseRate a second, which holds a still picture at little cost.
const (
	maxDoubled = 10
	sparseRate = 5
)

// constantRate is the rate to which frames are dropped and doubled, "" for none. Recordings of screens have frames
// only when something moves: with a constant rate their last picture stays as long as it did, which no encoder
// is told of otherwise, and every player gets along. maxFPS 0 means that time does not matter.
func (v videoTrack) constantRate(maxFPS int) string {
	limit := float64(maxFPS) * fpsSlack
	switch {
	case maxFPS == 0:
		return ""
	case v.rate() > limit:
		return strconv.Itoa(maxFPS)
	case v.fps == 0 || v.fps >= steady*v.peak:
		return ""
	case v.fps*maxDoubled < min(v.peak, float64(maxFPS)/2):
		return strconv.Itoa(min(maxFPS, max(sparseRate, int(v.fps*maxDoubled))))
	case v.peak <= limit:
		return strconv.FormatFloat(v.peak, 'f', 3, 64)
	case v.fps <= float64(maxFPS)/2:
		return strconv.Itoa(max(1, maxFPS/2)) // the peak is only the clock of the recorder
	}
	return strconv.Itoa(maxFPS)
}

func (v videoTrack) interlaced() bool {
	switch v.fields {
	case "tt", "bb", "tb", "bt":
		return true
	}
	return false
}

// rgb is whether the pixels are red, green and blue.
func rgb(pixels string) bool {
	return strings.HasPrefix(pixels, "gbr") || strings.HasPrefix(pixels, "rgb") || strings.HasPrefix(pixels, "bgr")
}
