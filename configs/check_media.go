package configs

import (
	"fmt"
	"slices"
	"strings"
)

// posterName is what the still picture of a video is called; storage.PresetPoster is the same.
const posterName = "poster"

func imagePresetNames(c *Config) (names []string) {
	for _, p := range c.Images.Presets {
		names = append(names, p.Name)
	}
	return names
}

func videoPresetNames(c *Config) (names []string) {
	for _, p := range c.Videos.Presets {
		names = append(names, p.Name)
	}
	return names
}

func (l *loader) checkMedia(c *Config) {
	l.presetNames("images.presets", imagePresetNames(c), 16)
	for _, p := range c.Images.Presets {
		const key = "images.presets"
		l.must(p.Name != posterName, key, "the name poster is taken by the still picture of every video")
		l.must(p.LongEdge >= 16 && p.LongEdge <= 16383, key, "a long_edge of 16 to 16383 (the largest WebP) is allowed")
		l.must(p.Format == "" || p.Format == FormatWebP || p.Format == FormatAVIF, key, "a format of webp or avif is expected")
		l.must(p.Quality >= 0 && p.Quality <= 100, key, "a quality of 1 to 100 is allowed")
		l.must(p.Effort >= 0 && p.Effort <= 6, key, "an effort of 1 to 6 is allowed")
	}
	l.presetNames("videos.presets", videoPresetNames(c), 4)
	for _, p := range c.Videos.Presets {
		const key = "videos.presets"
		l.must(p.Name != posterName, key, "the name poster is taken by the still picture of every video")
		l.must(p.LongEdge >= 128 && p.LongEdge <= 3840, key, "a long_edge of 128 to 3840 is allowed")
		l.must(p.Codec == "" || p.Codec == CodecH264 || p.Codec == CodecH265, key, "a codec of h264 or h265 is expected")
	}
}

func (l *loader) presetNames(key string, names []string, most int) {
	for i, name := range names {
		l.must(slug.MatchString(name), key, "a name of "+slugRule+" is expected")
		l.must(!slices.Contains(names[:i], name), key, name+" stands twice")
	}
	l.must(len(names) >= 1 && len(names) <= most, key, fmt.Sprintf("1 to %d presets are expected", most))
}

// known checks names in a list against what there is.
func (l *loader) known(key string, names, there []string) {
	for _, name := range names {
		l.must(slices.Contains(there, name), key, "no such preset: "+name+"; there are "+strings.Join(there, ", "))
	}
}
