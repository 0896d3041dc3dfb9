package storage

import (
	"maps"
	"slices"
	"time"
)

// mediaTasks is THE table of which category becomes web-ready, and by which kind of task.
var mediaTasks = map[Category]TaskKind{
	CategoryImage: TaskImage,
	CategoryVideo: TaskVideo,
}

// MediaTask is the kind of task that makes the variants of a category; false when it has none.
func MediaTask(c Category) (TaskKind, bool) {
	kind, ok := mediaTasks[c]
	return kind, ok
}

// MediaCategories lists the categories that become web-ready.
func MediaCategories() []Category { return slices.Sorted(maps.Keys(mediaTasks)) }

// PresetPoster names the still picture that stands for a video. No preset of the configuration may have the name.
const PresetPoster = "poster"

// MediaFacts is what the media job has found out about the picture or video itself. What does not apply, or is not
// known yet, is zero.
type MediaFacts struct {
	// Width and Height are in pixels, as shown: upright, and with square pixels.
	Width, Height int64
	// DominantColor is "#rrggbb".
	DominantColor string
	// ThumbHash is a placeholder of some 25 bytes (https://evanw.github.io/thumbhash/), in base64.
	ThumbHash string
	// The rest is of videos only.
	Duration   time.Duration
	FPS        float64
	VideoCodec string
	// AudioCodec is empty for a video without sound.
	AudioCodec string
}
