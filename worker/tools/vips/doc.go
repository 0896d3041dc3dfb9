// Package vips makes web-ready WebP pictures from uploaded ones. It is the only package that imports
// h2non/bimg, the binding to libvips.
//
//	runner, err := vips.NewRunner(vips.Config{TempDir: dir, MaxPixels: 100_000_000})
//	outputs, err := runner.WebPs(ctx, vips.Picture{Bytes: blob, Width: w, Height: h, Frames: 1}, presets)
//	defer vips.CloseAll(outputs)
//
// # Two processes
//
// Decoders of foreign bytes crash, and a crash in libvips ends its process. So the worker never decodes: it
// starts itself again as a child (command.go), whose main calls ChildMain when the first argument is
// ChildCommand. The child gets the picture and one empty file for each preset as open descriptors, an empty
// environment, a private folder and resource limits; it needs no other file. The parent looks at what comes
// back before it believes it (outputs.go): only plain WebP pictures of the right size pass.
//
// # Errors
//
// errors.Is(err, ErrUndecodable): the picture is at fault and trying again is useless; the *Undecodable in the
// chain has a sentence for people. Any other error (no process, no disk space, no result in time) may pass.
//
// # The recipe
//
// recipe.go, child side. The size is checked against MaxPixels by the caller's word before a child starts, and
// by libvips' own reading of the header before it decodes. The picture is shrunk once to the largest preset, with
// shrink-on-load for JPEG, and converted to sRGB; the EXIF orientation is applied to that small picture (bimg
// would do it at full size, through a JPEG and without the colour profile); every WebP is made from it.
// Nothing is enlarged: a preset larger than the picture gives the picture's own size, so that every preset
// always exists. All metadata is left behind. Of an animation the first frame is taken.
//
// bimg shrinks transparent pictures without weighting colours by their opacity, which draws dark or light
// seams along edges, and cannot shrink a picture until one side vanishes. For those, scale.go shrinks in Go.
package vips
