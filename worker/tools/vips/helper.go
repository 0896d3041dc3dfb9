package vips

/*
#cgo pkg-config: vips
#include "helper.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"image"
	"runtime"
	"sync"
	"unsafe"
)

// pixels is an image of helper.c: 8-bit sRGB in memory, all frames one below the other. It is safe for concurrent
// reading.
type pixels struct{ image *C.VipsImage }

// helperStart prepares libvips for a child; it is called once, before anything else here.
func helperStart() { C.gh_start() }

// helperWarnings takes what libvips has complained about since the last call.
func helperWarnings() string {
	var b [4096]C.char
	return C.GoStringN(&b[0], C.gh_warnings(&b[0], C.int(len(b))))
}

func helperError() error {
	var b [512]C.char
	return errors.New(C.GoStringN(&b[0], C.gh_error(&b[0], C.int(len(b)))))
}

func newPixels(p *C.VipsImage) (*pixels, error) {
	if p == nil {
		return nil, helperError()
	}
	return &pixels{p}, nil
}

func (p *pixels) free() { C.g_object_unref(C.gpointer(p.image)) }

// countFrames reads the header of a GIF or WebP.
func countFrames(picture []byte) (int, error) {
	n := C.gh_frames(unsafe.Pointer(unsafe.SliceData(picture)), C.size_t(len(picture)))
	if n < 0 {
		return 0, helperError()
	}
	return int(n), nil
}

// loadPixels decodes to sRGB, each frame scaled to w x h, or as it is when these are 0.
func loadPixels(picture []byte, allFrames bool, w, h int) (*pixels, error) {
	all := C.int(0)
	if allFrames {
		all = 1
	}
	return newPixels(C.gh_load(unsafe.Pointer(unsafe.SliceData(picture)), C.size_t(len(picture)), all, C.int(w), C.int(h)))
}

func (p *pixels) width() int  { return int(p.image.Xsize) }
func (p *pixels) height() int { return int(C.vips_image_get_page_height(p.image)) }
func (p *pixels) frames() int { return int(p.image.Ysize) / p.height() }

// scaled is a new image.
func (p *pixels) scaled(w, h int) (*pixels, error) {
	return newPixels(C.gh_scale(p.image, C.int(w), C.int(h)))
}

// first is a new image of the first frame.
func (p *pixels) first() (*pixels, error) { return newPixels(C.gh_first(p.image)) }

// upright is a new image: turned clockwise by quarters, then mirrored left to right.
func (p *pixels) upright(quarters int, mirror bool) (*pixels, error) {
	m := C.int(0)
	if mirror {
		m = 1
	}
	return newPixels(C.gh_upright(p.image, C.VipsAngle(quarters), m)) // VIPS_ANGLE_D0, D90, D180, D270 are 0 to 3
}

// rgba copies an image of one frame.
func (p *pixels) rgba() (*image.NRGBA, error) {
	var size C.size_t
	b := C.gh_rgba(p.image, &size)
	if b == nil {
		return nil, helperError()
	}
	defer C.g_free(C.gpointer(b))
	img := image.NewNRGBA(image.Rect(0, 0, p.width(), p.height()))
	if int(size) != len(img.Pix) {
		return nil, fmt.Errorf("%d bytes for %d x %d pixels", size, p.width(), p.height())
	}
	copy(img.Pix, unsafe.Slice((*byte)(b), len(img.Pix)))
	return img, nil
}

// encode makes a file of all frames in WebP, or of the only one in AVIF.
func (p *pixels) encode(format Format, quality, effort int) ([]byte, error) {
	var size C.size_t
	var b unsafe.Pointer
	if format == FormatAVIF {
		b = C.gh_avif(p.image, C.int(quality), C.int(effort), &size)
	} else {
		b = C.gh_webp(p.image, C.int(quality), C.int(effort), &size)
	}
	runtime.KeepAlive(p)
	if b == nil {
		return nil, helperError()
	}
	defer C.g_free(C.gpointer(b))
	return C.GoBytes(b, C.int(size)), nil
}

// AVIF reports whether the libvips and libheif of this machine can encode AVIF.
func AVIF() bool { return encodesAVIF() }

// encodesAVIF tries, with a picture of ours.
var encodesAVIF = sync.OnceValue(func() bool {
	dot := []byte("GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;")
	p, err := loadPixels(dot, false, 16, 16)
	if err != nil {
		return false
	}
	defer p.free()
	_, err = p.encode(FormatAVIF, 50, 0)
	return err == nil
})
