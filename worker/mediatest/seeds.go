package mediatest

import "testing"

// Seed is a small good file of a format, to be cut and changed.
type Seed struct {
	Name, Ext string
	Bytes     []byte
}

// PictureSeeds has each format of pictures, with what makes decoders work hard: profiles, EXIF, alpha, frames.
func PictureSeeds(t testing.TB) []Seed {
	t.Helper()
	const w, h = 64, 48
	list := []File{
		JPEG(t, w, h, 6), DisplayP3(t, w, h), ProgressiveJPEG(t, w, h), PNG16(t, w, h), PalettePNG(t, w, h),
		AnimatedGIF(t, w, h), AnimatedWebP(t, w, h), HEICSaidTwice(t, w, h, 6), AVIF(t, w, h),
	}
	lossy := vips(t, ppm(photoLike(w, h)), "webpsave", "lossy.webp", "", "--Q", "80")
	seeds := []Seed{{"webp-lossy", "webp", lossy}}
	for _, f := range list {
		seeds = append(seeds, Seed{f.Name, f.Ext, f.Bytes})
	}
	return seeds
}

// VideoSeeds has each container of videos, of half a second and a few kilobytes.
func VideoSeeds(t testing.TB) []Seed {
	t.Helper()
	small := func(name, filters string, codecs ...string) []byte {
		c := Clip{Width: 96, Height: 64, Seconds: 0.5, FPS: 12, Channels: 2}
		return readFile(t, c.encode(t, name, c.scene()+filters, codecs))
	}
	return []Seed{
		{"mp4-h264-aac", "mp4", small("seed.mp4", toYUV, append(x264, "-movflags", "+faststart")...)},
		{"mov-h264-aac", "mov", small("seed.mov", toYUV, x264...)},
		{"mp4-hevc", "mp4", small("seed-hevc.mp4", toYUV, "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error", "-c:a", "aac")},
		{"mkv-vp9-opus", "mkv", small("seed.mkv", toYUV, "-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libopus")},
		{"webm-vp8-vorbis", "webm", small("seed.webm", toYUV, "-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libvorbis")},
	}
}
