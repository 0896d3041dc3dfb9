package ffmpeg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"gatehouse/storage"
	"gatehouse/worker/tools/sandbox"
)

// Facts are what people want to know about a video.
type Facts struct {
	Duration time.Duration
	// Width and Height are as shown: turned upright, with square pixels.
	Width, Height int
	// FPS is the average, frames a second.
	FPS float64
	// VideoCodec and AudioCodec are ffmpeg's names, such as h264, hevc, vp9; aac, opus. AudioCodec is "" without sound.
	VideoCodec, AudioCodec string
}

// Video is an opened upload: a private folder with a copy of it. It is not safe for concurrent use.
type Video struct {
	r      *Runner
	folder *sandbox.Folder
	in     input
	media  media
	// made counts the files made, for their names.
	made int
	// copyable is the answer of honest, once it is checked.
	checked, copyable bool
}

// inputName is the upload in the folder.
const inputName = "input"

// Open copies the source into a private folder, finds out what it is and checks it against the limits.
func (r *Runner) Open(ctx context.Context, source io.Reader) (v *Video, err error) {
	// A worker that is restarted at once is too early for what it left behind; it holds gigabytes.
	if err := sandbox.RemoveLeftovers(r.cfg.TempDir, folderPrefix); err != nil {
		r.cfg.Log.WarnContext(ctx, "cannot remove what a killed worker left behind", "error", err)
	}
	folder, err := sandbox.NewFolder(r.cfg.TempDir, folderPrefix)
	if err != nil {
		return nil, fmt.Errorf("open video: %w", err)
	}
	v = &Video{r: r, folder: folder}
	defer func() {
		if err != nil {
			v, err = nil, fmt.Errorf("open video: %w", errors.Join(err, folder.Remove()))
		}
	}()
	container, size, err := r.copyIn(ctx, folder, source)
	if err != nil {
		return v, err
	}
	v.in = input{path: filepath.Join(folder.Path, inputName), container: container}
	if v.media, err = r.probe(ctx, v.in, size); err != nil {
		return v, err
	}
	return v, r.cfg.Limits.allow(v.media)
}

// copyIn returns the container that the first bytes announce, and the size.
func (r *Runner) copyIn(ctx context.Context, folder *sandbox.Folder, source io.Reader) (c container, size int64, err error) {
	f, err := folder.Create(inputName)
	if err != nil {
		return "", 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	limit := r.cfg.Limits.MaxBytes
	size, err = io.Copy(f, io.LimitReader(untilDone{func() error { return context.Cause(ctx) }, source}, limit+1))
	if err != nil {
		return "", 0, fmt.Errorf("copy the video: %w", err)
	}
	if size > limit {
		return "", 0, &Unplayable{storage.ReasonVideoTooLarge, fmt.Sprintf("more than %d bytes", limit)}
	}
	head := make([]byte, min(headBytes, size))
	if _, err := f.ReadAt(head, 0); err != nil {
		return "", 0, fmt.Errorf("read the video's head: %w", err)
	}
	c, err = recognise(head)
	return c, size, err
}

// Facts tells about the video as it was uploaded.
func (v *Video) Facts() Facts { return v.media.facts() }

// Close removes the folder. What Poster and Transcode gave lives on.
func (v *Video) Close() error { return v.folder.Remove() }

// create makes an empty file for a child to write.
func (v *Video) create(kind string) (*os.File, string, error) {
	v.made++
	name := fmt.Sprintf("%s-%d", kind, v.made)
	f, err := v.folder.Create(name)
	return f, filepath.Join(v.folder.Path, name), err
}

// untilDone is a reader that ends with the context.
type untilDone struct {
	cancelled func() error
	io.Reader
}

func (u untilDone) Read(p []byte) (int, error) {
	if err := u.cancelled(); err != nil {
		return 0, err
	}
	return u.Reader.Read(p)
}
