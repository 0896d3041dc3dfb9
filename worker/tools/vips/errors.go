package vips

import (
	"errors"
	"strconv"
	"strings"

	"gatehouse/storage"
)

// ErrUndecodable is in the chain of every error that is the picture's fault. Trying again is useless.
var ErrUndecodable = errors.New("the picture cannot be decoded")

// Undecodable says why a picture has no variants.
type Undecodable struct {
	// Reason is for people.
	Reason storage.Reason
	// Detail is for the log: what the decoder said. It may quote the picture and is not shown.
	Detail string
}

func (u *Undecodable) Error() string {
	s := ErrUndecodable.Error() + " (" + u.Reason.Slug + ")"
	if u.Detail != "" {
		s += ": " + u.Detail
	}
	return s
}

// Is makes every Undecodable an ErrUndecodable.
func (u *Undecodable) Is(target error) bool { return target == ErrUndecodable }

// The reasons.
var (
	// ReasonDamaged: the decoder refused it, or found it cut off.
	ReasonDamaged = storage.Reason{
		Slug:    "picture_damaged",
		English: "The picture is damaged, incomplete or in a format that cannot be read.",
		Chinese: "图片已损坏、不完整，或其格式无法读取。",
	}
	// ReasonTooManyPixels: width x height x frames is over MaxPixels.
	ReasonTooManyPixels = storage.Reason{
		Slug:    "picture_too_many_pixels",
		English: "The picture has more pixels than can be processed.",
		Chinese: "图片的像素数超出可处理的上限。",
	}
	// ReasonTooManyFrames: the animation has more than MaxFrames.
	ReasonTooManyFrames = storage.Reason{
		Slug:    "picture_too_many_frames",
		English: "The animation has more frames than can be processed.",
		Chinese: "动画的帧数超出可处理的上限。",
	}
	// ReasonTooCostly: it hit a limit on processor time, memory, threads or size.
	ReasonTooCostly = storage.Reason{
		Slug:    "picture_too_costly",
		English: "Processing the picture takes more time or memory than is allowed.",
		Chinese: "处理该图片所需的时间或内存超出允许的范围。",
	}
	// ReasonCrashed: the decoder died of it, or was killed.
	ReasonCrashed = storage.Reason{
		Slug:    "picture_crashed_decoder",
		English: "The picture could not be processed because the decoder failed on it.",
		Chinese: "解码器在处理该图片时发生故障，无法完成处理。",
	}
)

// printable keeps log lines short; the text may quote the picture.
func printable(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return strings.Trim(strconv.QuoteToASCII(line[:min(len(line), 300)]), `"`)
}
