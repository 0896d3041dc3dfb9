package ffmpeg

import (
	"errors"

	"gatehouse/storage"
)

// ErrUnplayable is in the chain of every error that is the video's fault. Trying again is useless.
var ErrUnplayable = errors.New("the video cannot be made web-ready")

// Unplayable says why a video has no web-ready version.
type Unplayable struct {
	// Reason is for people.
	Reason storage.Reason
	// Detail is for the log: what the decoder said. It may quote the video and is not shown.
	Detail string
}

func (e *Unplayable) Error() string {
	return ErrUnplayable.Error() + " (" + e.Reason.Slug + "): " + e.Detail
}

func (e *Unplayable) Unwrap() error { return ErrUnplayable }

// Why a video has no web-ready version.
var (
	// ReasonNotVideo: no MP4, QuickTime, Matroska or WebM file, whatever its name says.
	ReasonNotVideo = storage.Reason{
		Slug:    "video_format_unsupported",
		English: "The file is not a video in MP4, MOV, MKV or WebM format.",
		Chinese: "该文件不是 MP4、MOV、MKV 或 WebM 格式的视频。",
	}
	// ReasonCodec: the container is known, the way its picture or sound is coded is not.
	ReasonCodec = storage.Reason{
		Slug:    "video_codec_unsupported",
		English: "The video's picture or sound is coded in a way that cannot be processed.",
		Chinese: "视频的画面或声音采用了无法处理的编码方式。",
	}
	ReasonNoPicture = storage.Reason{
		Slug:    "video_without_picture",
		English: "The file has no video track.",
		Chinese: "文件中没有视频轨道。",
	}
	ReasonDamaged = storage.Reason{
		Slug:    "video_damaged",
		English: "The video is damaged or incomplete and cannot be decoded to its end.",
		Chinese: "视频已损坏或不完整，无法完整解码。",
	}
	ReasonTooLarge = storage.Reason{
		Slug:    "video_too_large",
		English: "The video file is larger than can be processed.",
		Chinese: "视频文件的大小超出可处理的上限。",
	}
	ReasonTooLong = storage.Reason{
		Slug:    "video_too_long",
		English: "The video lasts longer than can be processed.",
		Chinese: "视频的时长超出可处理的上限。",
	}
	ReasonTooManyPixels = storage.Reason{
		Slug:    "video_too_many_pixels",
		English: "The video's frames have more pixels than can be processed.",
		Chinese: "视频画面的像素数超出可处理的上限。",
	}
	ReasonTooManyStreams = storage.Reason{
		Slug:    "video_too_many_streams",
		English: "The video file has more tracks than can be processed.",
		Chinese: "视频文件的轨道数超出可处理的上限。",
	}
	ReasonBitRate = storage.Reason{
		Slug:    "video_bit_rate_too_high",
		English: "The video's bit rate is higher than can be processed.",
		Chinese: "视频的码率超出可处理的上限。",
	}
	// ReasonTooSlow: it hit the limit on processor time or on time by the clock.
	ReasonTooSlow = storage.Reason{
		Slug:    "video_took_too_long",
		English: "Processing the video takes more time than is allowed.",
		Chinese: "处理该视频所需的时间超出允许的范围。",
	}
	// ReasonTooCostly: it hit the limit on memory.
	ReasonTooCostly = storage.Reason{
		Slug:    "video_too_costly",
		English: "Processing the video takes more memory than is allowed.",
		Chinese: "处理该视频所需的内存超出允许的范围。",
	}
	ReasonOutputTooLarge = storage.Reason{
		Slug:    "video_output_too_large",
		English: "The web-ready version of the video would be larger than is allowed.",
		Chinese: "该视频的网页版本将超出允许的大小。",
	}
	// ReasonCrashed: the decoder died of it.
	ReasonCrashed = storage.Reason{
		Slug:    "video_crashed_decoder",
		English: "The video could not be processed because the decoder failed on it.",
		Chinese: "解码器在处理该视频时发生故障，无法完成处理。",
	}
)
