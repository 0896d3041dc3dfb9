package intake

import (
	"errors"
	"fmt"
	"slices"

	"gatehouse/gateway/intake/picture"
	"gatehouse/gateway/intake/trailer"
	"gatehouse/storage"
)

// The reasons of the image rule.
var (
	reasonImagePixels = storage.Reason{Slug: "image_too_many_pixels",
		English: "The picture has too many pixels (width times height times frames). Make it smaller and upload it again.",
		Chinese: "图片的像素总数（宽 × 高 × 帧数）过多。请缩小后重新上传。"}
	reasonImageDimension = storage.Reason{Slug: "image_too_large",
		English: "The picture is too wide or too high. Make it smaller and upload it again.",
		Chinese: "图片的宽度或高度过大。请缩小后重新上传。"}
	reasonImageFrames = storage.Reason{Slug: "image_too_many_frames",
		English: "The animation has too many frames. Shorten it, or upload it as a video.",
		Chinese: "动图的帧数过多。请缩短动图，或改为上传视频。"}
	reasonImageTruncated = storage.Reason{Slug: "image_truncated",
		English: "The picture is incomplete: its end is missing. Save or transfer it again and then upload it.",
		Chinese: "图片不完整，缺少结尾部分。请重新保存或传输后再上传。"}
	reasonImageMalformed = storage.Reason{Slug: "image_malformed",
		English: "The picture is damaged or not written the way its format demands. Open it in an image program, save it again and upload that file.",
		Chinese: "图片已损坏，或不符合其格式的规范。请用图片软件打开并重新保存后再上传。"}
)

// checkImage walks a picture to its end without decoding it, bounds what it claims to be, and looks at the text it
// carries on the way. It fills Width, Height, Frames and imageEnd.
func checkImage(c *Candidate) error {
	if c.Category != storage.CategoryImage {
		return nil
	}
	if !slices.Contains(picture.Formats, c.MediaType) {
		// Only a configuration that adds an extension to the category comes here: what cannot be read does not pass.
		return storage.Refuse(storage.CodeTypeNotAllowed, storage.Details{"detected": c.MediaType})
	}
	limits := picture.Limits{
		Pixels:    c.Policy.Limits.MaxPixels,
		Dimension: c.Policy.Limits.MaxDimension,
		Frames:    c.Policy.Limits.MaxFrames,
	}
	look := trailer.Texts(c.Body, c.Size)
	info, err := picture.Read(c.Body, c.Size, c.MediaType, limits, func(from, to int64) error {
		found, err := look(from, to)
		if err != nil {
			return err
		}
		return hidden(found)
	})
	if err != nil {
		return refusePicture(err)
	}
	c.Width, c.Height, c.Frames, c.imageEnd = info.Width, info.Height, info.Frames, info.End
	return nil
}

// refusePicture turns a finding about the picture into a refusal and leaves other errors as they are: refusals of
// the text in it, and a disk that does not read.
func refusePicture(err error) error {
	fault, ok := errors.AsType[*picture.Error](err)
	if !ok {
		if storage.CodeOf(err) != "" {
			return err
		}
		return fmt.Errorf("check image: %w", err)
	}
	reasons := map[picture.Problem]storage.Reason{
		picture.Truncated:     reasonImageTruncated,
		picture.Malformed:     reasonImageMalformed,
		picture.TooManyPixels: reasonImagePixels,
		picture.TooLarge:      reasonImageDimension,
		picture.TooManyFrames: reasonImageFrames,
	}
	details := storage.Details{}
	if fault.Problem >= picture.TooManyPixels {
		details = storage.Details{
			"width": fault.Info.Width, "height": fault.Info.Height, "frames": fault.Info.Frames, "limit": fault.Limit,
		}
	}
	return storage.Refuse(storage.CodeContentUnsafe, details).Because(reasons[fault.Problem]).CausedBy(fault)
}
