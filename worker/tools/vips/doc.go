// Package vips makes web-ready pictures from uploaded ones. It is the only package that links libvips, through
// h2non/bimg and a small helper of its own.
//
//	runner, err := vips.NewRunner(vips.Config{TempDir: dir, MaxPixels: 100_000_000})
//	defer runner.Close()
//	err = runner.Make(ctx, vips.Picture{Owner: tenant, Bytes: blob, Width: w, Height: h, Frames: 1}, presets,
//		func(f vips.Facts) error { ... },  // once: size, dominant colour, ThumbHash
//		func(o vips.Output) error { ... }) // for each preset, the smallest first
//
// # Processes
//
// Decoders of foreign bytes crash, or are taken over. So the worker never decodes: children of gatehouse's sandbox
// do (process.go says under which rules). They see no file but the descriptors of a job, which come over a socket
// (wire.go): the picture, for reading only, and one empty file in memory for each output. Decoded pictures stay in
// memory, because a child can create no file.
//
// The memory of outputs is no process's own, so no limit counts it. A child that was taken over can keep those of
// earlier jobs until it ends: at most as many as it may have descriptors (40, wire.go), each of 64 MiB at most.
//
// Starting a child costs more than a small picture, so they are used again (pool.go), without becoming a way from
// one picture to another tenant's: a child serves one owner until it ends, and it ends after the first job with any
// trouble, after Jobs pictures, after Idle without one, and when another owner needs its place. Nothing is kept
// ready for an owner to come: a spare child would hold its place from one at work.
//
// The parent believes nothing (work.go): a reply must be in turn, facts sane, an output a plain file of its format
// and of exactly the size that follows from the facts (outputs.go, webp.go, avif.go). An output is sealed before it
// is looked at, because the child may still have its descriptor; all are looked at before the child may get another
// job. If a child that has worked before dies, lies or finds fault with a picture, that may be the doing of an earlier
// one: a new child gets what is missing, once.
//
// # Errors
//
// errors.Is(err, ErrUndecodable): the picture is at fault and trying again is useless; the *Undecodable in the
// chain has a sentence for people. Any other error (no process, no disk space, asked to end) may pass. Of these,
// errors.Is(err, ErrTimeout) tells a picture that ran out of the clock: one that does so again and again hangs the
// decoder, which only the caller can know.
//
// # The recipe
//
// recipe.go, child side. The size is checked against MaxPixels by the caller's word before a child starts, and
// by libvips' own reading of the header before it decodes. The picture is shrunk once to the largest preset, with
// shrink-on-load for JPEG, and converted to sRGB; the EXIF orientation is applied to that small picture; every
// output is made from it. HEIC and AVIF are turned by libheif, so their EXIF orientation is ignored. Nothing is
// enlarged: a preset larger than the picture gives the picture's own size, so that every preset always exists,
// and equal ones are encoded once. All metadata is left behind.
//
// Of an animated GIF or WebP all frames are kept, with their times and the number of rounds. AVIF outputs, and the
// outputs of HEIC and AVIF sequences, show the first frame: libvips writes and reads these as stills.
//
// # Who does what
//
// bimg reads headers, decodes, shrinks and converts colours. The helper (helper.c, with helper.go around it) does
// what bimg cannot or does wrong:
//   - WebP with an effort: bimg's is fixed at 4, and 2 takes much less time for a few bytes more.
//   - Animations: bimg reads the first frame only. Each frame is scaled by itself, so that none bleeds into another.
//   - Opacity: bimg shrinks without weighting colours by it, which draws seams along edges.
//   - Pictures one pixel narrow after shrinking: bimg shrinks by whole numbers first and has none left.
//   - Orientation: bimg turns at full size, through a JPEG and without the colour profile.
//   - AVIF, from the same decoded picture; bimg would decode its TIFF again for each output.
//   - libvips' warnings, the only sign of a PNG or GIF that was cut off.
//
// The dominant colour (placeholder.go) is thirty lines of ours over the placeholder's pixels: the library at hand
// clusters at random and knows no opacity. ThumbHash is a format, and a library's.
package vips
