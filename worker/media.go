package main

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"gatehouse/configs"
	"gatehouse/storage"
	"gatehouse/worker/jobs"
	"gatehouse/worker/tools/ffmpeg"
	"gatehouse/worker/tools/sandbox"
	"gatehouse/worker/tools/vips"
)

// checkWalls refuses to start where foreign bytes would be decoded without the walls that were asked for.
func checkWalls(cfg *configs.Config, log *slog.Logger) error {
	walls := sandbox.Support()
	switch {
	case walls.Complete():
		log.Info("children that decode foreign bytes are held by the kernel", "walls", walls.String())
		return nil
	case cfg.Sandbox.Required:
		return fmt.Errorf("this kernel cannot hold the children that decode foreign bytes (it has %s): Landlock needs Linux "+
			"5.13 or newer, and a container must allow it; set sandbox.required to false to work without", walls)
	}
	log.Warn("children that decode foreign bytes are NOT held by all walls", "walls", walls.String())
	return nil
}

// addMedia makes what turns pictures and videos into variants.
func addMedia(cfg *configs.Config, d *jobs.Deps, log *slog.Logger) error {
	var err error
	d.Pictures, err = vips.NewRunner(vips.Config{
		TempDir: cfg.WorkDir(), Timeout: cfg.Images.Timeout, MaxPixels: cfg.Images.MaxPixels, MaxFrames: int(cfg.Intake.MaxFrames),
		MaxBytes: cfg.LargestUpload(), MemoryBytes: int64(cfg.Images.MemoryBytes),
		// Posters come on top of pictures.
		Concurrency: cfg.Tasks.Lanes.Image.Concurrency + cfg.Tasks.Lanes.Video.Concurrency, Require: cfg.Sandbox.Required,
	})
	if err != nil {
		return err
	}
	for _, p := range cfg.Images.Presets {
		if p.Format == configs.FormatAVIF && !vips.AVIF() {
			return errors.New("images.presets: " + p.Name + " is to be avif, which the libvips of this machine cannot write")
		}
		d.Presets = append(d.Presets, vips.Preset{
			Name: p.Name, LongEdge: p.LongEdge, Format: vips.Format(cmp.Or(p.Format, configs.FormatWebP)),
			Quality: cmp.Or(p.Quality, cfg.Images.Quality), Effort: cmp.Or(p.Effort, cfg.Images.Effort),
		})
	}
	d.Poster = vips.Preset{
		Name: storage.PresetPoster, LongEdge: cfg.Videos.PosterLongEdge, Format: vips.FormatWebP,
		Quality: cfg.Images.Quality, Effort: cfg.Images.Effort,
	}
	v := cfg.Videos
	d.Videos, err = ffmpeg.NewRunner(ffmpeg.Config{
		TempDir: cfg.WorkDir(), Concurrency: cfg.Tasks.Lanes.Video.Concurrency, Threads: v.Threads, Require: cfg.Sandbox.Required, Log: log,
		Limits: ffmpeg.Limits{
			MaxBytes: cfg.LargestUpload(), MaxDuration: v.MaxDuration, MaxPixels: v.MaxPixels, MaxStreams: v.MaxStreams,
			MaxBitRate: v.MaxBitsPerSecond, Timeout: v.Timeout, CPU: v.CPUTime,
			MaxOutputBytes: int64(v.MaxOutputBytes), MemoryBytes: int64(v.MemoryBytes),
		},
	})
	if err != nil {
		return err
	}
	for _, p := range v.Presets {
		preset := ffmpeg.Preset{Name: p.Name, LongEdge: p.LongEdge, Codec: ffmpeg.Codec(cmp.Or(p.Codec, configs.CodecH264))}
		if !d.Videos.CanEncode(preset.Codec) {
			log.Warn("this ffmpeg cannot encode a preset of videos; it is left out", "preset", p.Name, "codec", preset.Codec)
			continue
		}
		d.VideoPresets = append(d.VideoPresets, preset)
	}
	// Twice what the tool itself may take: the transfer from and to the store comes on top.
	d.ImageTimeout = 2 * cfg.Images.Timeout
	// Copy and probe, poster, and for each preset a copy that may turn out wrong and the encode that follows.
	d.VideoTimeout = cfg.Images.Timeout + v.Timeout*time.Duration(2+2*len(v.Presets))
	return nil
}
