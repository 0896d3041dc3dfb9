package intake

import (
	"fmt"

	"gatehouse/gateway/intake/trailer"
	"gatehouse/storage"
)

// The reasons of the trailer rule. The slugs say image because that is where it is tried; they hold for videos too.
var (
	reasonHiddenArchive = storage.Reason{Slug: "image_hidden_archive",
		English: "The file has an archive, such as a ZIP or RAR, hidden in it. Save the picture or video again without it and upload that file.",
		Chinese: "文件中隐藏了压缩包（如 ZIP 或 RAR）。请去除后重新保存图片或视频再上传。"}
	reasonHiddenExecutable = storage.Reason{Slug: "image_hidden_executable",
		English: "The file has a program hidden behind its end. Save the picture or video again without it and upload that file.",
		Chinese: "文件末尾隐藏了可执行程序。请去除后重新保存图片或视频再上传。"}
	reasonHiddenScript = storage.Reason{Slug: "image_hidden_script",
		English: "The file has a script or a web page hidden in it. Save the picture or video again without it and upload that file.",
		Chinese: "文件中隐藏了脚本或网页代码。请去除后重新保存图片或视频再上传。"}
	reasonTrailingData = storage.Reason{Slug: "image_trailing_data",
		English: "The file has foreign data in it that is no part of the picture or video. Open it in an image or video program, save it again and upload that file.",
		Chinese: "文件中含有不属于图片或视频的其他数据。请用图片或视频软件打开并重新保存后再上传。"}
)

// checkTrailer refuses pictures and videos that are something else at the same time. It reads imageEnd, which the
// image rule has set.
func checkTrailer(c *Candidate) error {
	var found trailer.Finding
	var err error
	switch c.Category {
	case storage.CategoryImage:
		found, err = trailer.Picture(c.Body, c.Size, c.imageEnd)
	case storage.CategoryVideo:
		found, err = trailer.Video(c.Body, c.Size, c.MediaType)
	}
	if err != nil {
		return fmt.Errorf("check trailer: %w", err)
	}
	return hidden(found)
}

// hidden is the refusal for a finding, nil for none.
func hidden(f trailer.Finding) error {
	var reason storage.Reason
	switch f.Kind {
	case trailer.Clean:
		return nil
	case trailer.Archive:
		reason = reasonHiddenArchive
	case trailer.Executable:
		reason = reasonHiddenExecutable
	case trailer.Script:
		reason = reasonHiddenScript
	default:
		reason = reasonTrailingData
	}
	return storage.Refuse(storage.CodeContentUnsafe, storage.Details{"found": f.What, "offset": f.Offset}).Because(reason)
}
