// Package ffmpeg makes web-ready videos and posters from uploaded ones. It is the only package that imports
// u2takey/ffmpeg-go.
//
//	runner, err := ffmpeg.NewRunner(ffmpeg.Config{TempDir: dir})
//	video, err := runner.Open(ctx, blob)
//	defer video.Close()
//	facts := video.Facts()
//	poster, err := video.Poster(ctx)
//	out, err := video.Transcode(ctx, preset, func(share float64) { ... })
//
// # Children
//
// Foreign bytes are read by ffprobe and ffmpeg only, each run in a child of worker/tools/sandbox: with a private
// folder, an empty environment and resource limits. The program's main hands its children to sandbox.Main.
// A Video is that folder with the copied upload in it, until Close.
//
// # What reaches a demuxer
//
// container.go looks at the first bytes and forces the demuxer by name, with whitelists of formats, protocols and
// codecs: a playlist in disguise would otherwise open other files. input.go has all options of an input.
//
// # What comes out
//
// plan.go decides from the probe: copy the streams that are web-ready already, encode the others. Before a picture is
// copied honest.go reads all of it: a copy must not hold what is not shown, or change its size on the way. In doubt
// it is encoded. filters.go writes
// the chain from picture to picture: deinterlace, fewer frames, scale to square pixels and even sides, turn
// upright, tone-map, 8-bit. graph.go builds the arguments with ffmpeg-go, of which nothing but GetArgs is used: no
// text of a user gets into the graph, and the process is ours. A result is probed and checked (output.go)
// before it is believed. When a copy fails that check, the streams are encoded after all.
//
// # How long
//
// One run of ffmpeg has Limits.Timeout by the clock and Limits.CPU of the processor. It is killed earlier when it makes
// nothing more of the video for two minutes, or longer for frames larger than 1920 x 1080 (stall.go).
//
// # Errors
//
// errors.Is(err, ErrUnplayable): the file is at fault and trying again is useless; the *Unplayable in the chain has
// a sentence for people. Any other error (no process, no disk space, a cancelled context, an ffmpeg that
// somebody asked to end) may pass.
package ffmpeg
