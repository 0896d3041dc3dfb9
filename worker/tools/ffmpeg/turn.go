package ffmpeg

import (
	"strconv"
	"strings"
)

// turn is what a display matrix asks for: the signs of its upper left 2 x 2, row by row, when it is one of the eight
// that turn by right angles or mirror. The zero turn is upright. ffmpeg's own turning is switched off, because it
// also obeys words in the picture data that no probe shows.
type turn struct{ a, b, c, d int8 }

var upright turn

// turnFilters make a picture upright. The matrix maps a point (x, y) to (ax + cy, bx + dy), y pointing down.
var turnFilters = map[turn][]filter{
	upright:        nil,
	{-1, 0, 0, 1}:  {{"hflip", nil}},
	{1, 0, 0, -1}:  {{"vflip", nil}},
	{-1, 0, 0, -1}: {{"hflip", nil}, {"vflip", nil}},
	{0, 1, -1, 0}:  {{"transpose", []string{"dir=clock"}}},
	{0, -1, 1, 0}:  {{"transpose", []string{"dir=cclock"}}},
	{0, 1, 1, 0}:   {{"transpose", []string{"dir=cclock_flip"}}},
	{0, -1, -1, 0}: {{"transpose", []string{"dir=clock_flip"}}},
}

// sideways is whether width and height change places.
func (t turn) sideways() bool { return t.b != 0 }

// turnOf reads ffprobe's dump of a display matrix: three lines of an offset and three numbers. Other matrices than
// the eight, such as a slant of a few degrees, are taken for upright, as browsers do.
func turnOf(dump string) turn {
	var rows [][]string
	for line := range strings.Lines(dump) {
		_, numbers, ok := strings.Cut(line, ":")
		if fields := strings.Fields(numbers); ok && len(fields) == 3 {
			rows = append(rows, fields)
		}
	}
	if len(rows) != 3 {
		return upright
	}
	t := turn{sign(rows[0][0]), sign(rows[0][1]), sign(rows[1][0]), sign(rows[1][1])}
	if _, ok := turnFilters[t]; !ok || t == (turn{1, 0, 0, 1}) {
		return upright
	}
	return t
}

// sign of a number in 16.16 fixed point; what is near 0 is taken for 0.
func sign(s string) int8 {
	n, err := strconv.ParseInt(s, 10, 64)
	switch {
	case err != nil || n > -1<<15 && n < 1<<15:
		return 0
	case n < 0:
		return -1
	}
	return 1
}
