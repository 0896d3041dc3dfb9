// Package mediatest makes the pictures and videos that tests of the media pipeline put through it, and compares
// what comes out. The files are real ones, made by ffmpeg, by vips and by writing bytes; nothing is shipped.
//
//	for _, f := range mediatest.Pictures(t) { // every kind of picture that must come out right
//	    out := process(f.Bytes)
//	    mediatest.Looks(t, mediatest.DecodeWebP(t, out), f.Spots) // known colours at known places
//	}
//	path := mediatest.Video(t, mediatest.HDR10) // a file on disk; read it, do not change it
//	info := mediatest.Probe(t, path)
//
// What costs more than a moment is kept in a folder of the user's cache under the digest of its whole recipe
// (cache.go), so that it is made once for all packages and runs. A missing tool fails a test, it never skips it.
//
// The files: jpeg.go, png.go, heif.go and animation.go make formats, pictures.go is the list of the kinds that
// must come out right, video*.go the same for videos; flood.go, disguise.go, truncate.go and mutants.go make what
// must do no harm; webp.go, frame.go and probe.go read results, and compare.go judges them.
package mediatest
