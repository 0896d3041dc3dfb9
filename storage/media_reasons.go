package storage

import "slices"

// Why a picture has no web-ready forms. Every reason of this file also stands in mediaReasons, in openapi.yaml and in
// docs/media.md; slugs are kept in the database and never renamed.
var (
	// ReasonPictureDamaged: the decoder refused it, or found it cut off.
	ReasonPictureDamaged = Reason{
		Slug:    "picture_damaged",
		English: "The picture is damaged, incomplete or in a format that cannot be read.",
		Chinese: "图片已损坏、不完整，或其格式无法读取。",
	}
	// ReasonPictureTooManyPixels: width x height x frames is over the limit.
	ReasonPictureTooManyPixels = Reason{
		Slug:    "picture_too_many_pixels",
		English: "The picture has more pixels than can be processed.",
		Chinese: "图片的像素数超出可处理的上限。",
	}
	ReasonPictureTooManyFrames = Reason{
		Slug:    "picture_too_many_frames",
		English: "The animation has more frames than can be processed.",
		Chinese: "动画的帧数超出可处理的上限。",
	}
	// ReasonPictureTooCostly: it hit a limit on processor time, memory, threads or size.
	ReasonPictureTooCostly = Reason{
		Slug:    "picture_too_costly",
		English: "Processing the picture takes more time or memory than is allowed.",
		Chinese: "处理该图片所需的时间或内存超出允许的范围。",
	}
	// ReasonPictureCrashed: the decoder died of it, or was killed.
	ReasonPictureCrashed = Reason{
		Slug:    "picture_crashed_decoder",
		English: "The picture could not be processed because the decoder failed on it.",
		Chinese: "解码器在处理该图片时发生故障，无法完成处理。",
	}
)

// Why a video has no web-ready version.
var (
	// ReasonVideoFormat: no MP4, QuickTime, Matroska or WebM file, whatever its name says.
	ReasonVideoFormat = Reason{
		Slug:    "video_format_unsupported",
		English: "The file is not a video in MP4, MOV, MKV or WebM format.",
		Chinese: "该文件不是 MP4、MOV、MKV 或 WebM 格式的视频。",
	}
	// ReasonVideoCodec: the container is known, the way its picture or sound is coded is not.
	ReasonVideoCodec = Reason{
		Slug:    "video_codec_unsupported",
		English: "The video's picture or sound is coded in a way that cannot be processed.",
		Chinese: "视频的画面或声音采用了无法处理的编码方式。",
	}
	ReasonVideoNoPicture = Reason{
		Slug:    "video_without_picture",
		English: "The file has no video track.",
		Chinese: "文件中没有视频轨道。",
	}
	ReasonVideoDamaged = Reason{
		Slug:    "video_damaged",
		English: "The video is damaged or incomplete and cannot be decoded to its end.",
		Chinese: "视频已损坏或不完整，无法完整解码。",
	}
	ReasonVideoTooLarge = Reason{
		Slug:    "video_too_large",
		English: "The video file is larger than can be processed.",
		Chinese: "视频文件的大小超出可处理的上限。",
	}
	ReasonVideoTooLong = Reason{
		Slug:    "video_too_long",
		English: "The video lasts longer than can be processed.",
		Chinese: "视频的时长超出可处理的上限。",
	}
	ReasonVideoTooManyPixels = Reason{
		Slug:    "video_too_many_pixels",
		English: "The video's frames have more pixels than can be processed.",
		Chinese: "视频画面的像素数超出可处理的上限。",
	}
	ReasonVideoTooManyStreams = Reason{
		Slug:    "video_too_many_streams",
		English: "The video file has more tracks than can be processed.",
		Chinese: "视频文件的轨道数超出可处理的上限。",
	}
	ReasonVideoBitRate = Reason{
		Slug:    "video_bit_rate_too_high",
		English: "The video's bit rate is higher than can be processed.",
		Chinese: "视频的码率超出可处理的上限。",
	}
	// ReasonVideoTooSlow: it hit the limit on processor time or on time by the clock.
	ReasonVideoTooSlow = Reason{
		Slug:    "video_took_too_long",
		English: "Processing the video takes more time than is allowed.",
		Chinese: "处理该视频所需的时间超出允许的范围。",
	}
	// ReasonVideoTooCostly: it hit the limit on memory.
	ReasonVideoTooCostly = Reason{
		Slug:    "video_too_costly",
		English: "Processing the video takes more memory than is allowed.",
		Chinese: "处理该视频所需的内存超出允许的范围。",
	}
	ReasonVideoOutputTooLarge = Reason{
		Slug:    "video_output_too_large",
		English: "The web-ready version of the video would be larger than is allowed.",
		Chinese: "该视频的网页版本将超出允许的大小。",
	}
	// ReasonVideoCrashed: the decoder died of it.
	ReasonVideoCrashed = Reason{
		Slug:    "video_crashed_decoder",
		English: "The video could not be processed because the decoder failed on it.",
		Chinese: "解码器在处理该视频时发生故障，无法完成处理。",
	}
)

// Why either has none though nothing is wrong with the file: see MediaMayRetry.
var (
	ReasonMediaNoRoom = Reason{
		Slug:    "quota_exceeded",
		English: "The storage quota has no room for the web-ready forms of this file; the original is kept.",
		Chinese: "存储配额不足，无法保存该文件的网页版本；原文件仍保留。",
	}
	ReasonMediaFailed = Reason{
		Slug:    "variants_failed",
		English: "The web-ready forms of this file could not be made; the original is kept.",
		Chinese: "无法生成该文件的网页版本；原文件仍保留。",
	}
)

// mediaReasons is THE table of why a picture or video has no web-ready forms.
var mediaReasons = []Reason{
	ReasonPictureDamaged, ReasonPictureTooManyPixels, ReasonPictureTooManyFrames, ReasonPictureTooCostly, ReasonPictureCrashed,
	ReasonVideoFormat, ReasonVideoCodec, ReasonVideoNoPicture, ReasonVideoDamaged, ReasonVideoTooLarge, ReasonVideoTooLong,
	ReasonVideoTooManyPixels, ReasonVideoTooManyStreams, ReasonVideoBitRate, ReasonVideoTooSlow, ReasonVideoTooCostly,
	ReasonVideoOutputTooLarge, ReasonVideoCrashed,
	ReasonMediaNoRoom, ReasonMediaFailed,
}

// MediaReasons lists them all.
func MediaReasons() []Reason { return slices.Clone(mediaReasons) }

// MediaReason finds a reason by its slug; false for one that only newer workers know.
func MediaReason(slug string) (Reason, bool) {
	i := slices.IndexFunc(mediaReasons, func(r Reason) bool { return r.Slug == slug })
	if i < 0 {
		return Reason{}, false
	}
	return mediaReasons[i], true
}

// MediaMayRetry reports whether the job failed for our trouble or for want of room, not because of the file: the same
// bytes may succeed another time.
func MediaMayRetry(slug string) bool {
	return slug == ReasonMediaNoRoom.Slug || slug == ReasonMediaFailed.Slug
}
