package trailer

import (
	"bytes"
	"errors"
	"slices"

	"gatehouse/gateway/intake/bmff"
	"gatehouse/gateway/intake/window"
)

// maxBoxes bounds the boxes of one video: a fragment of two boxes for each frame, for hours.
const maxBoxes = 1 << 20

// behind judges everything from the end of a file's own data to the end of the file.
func behind(w *window.Reader, from int64) (Finding, error) {
	return region(w, from, w.Size(), true)
}

// region judges the bytes between from and to. Boxes that HEIC carries a video in come first (when boxes is set);
// then blocks that vendors put at the end are taken off, then a video; what is left must be padding.
func region(w *window.Reader, from, to int64, boxes bool) (Finding, error) {
	for k := bmff.NewWalker(w, maxBoxes); boxes; {
		b, ok, err := boxBehind(k, from, to, "mpvd", "sefd")
		if err != nil {
			return Finding{}, err
		}
		if !ok {
			break
		}
		if f, err := region(w, b.Body, b.End, false); err != nil || f.Kind != Clean {
			return f, err
		}
		from = b.End
	}
	to, f, err := trimVendor(w, from, to)
	if err != nil || f.Kind != Clean {
		return f, err
	}
	if from, err = skipMarker(w, from, to); err != nil {
		return Finding{}, err
	}
	b, ok, err := boxBehind(bmff.NewWalker(w, maxBoxes), from, to, "ftyp")
	if err != nil {
		return Finding{}, err
	}
	if ok && hasVideoBrand(w, b.Start) {
		return motionVideo(w, b.Start, to)
	}
	if from, err = skipPadding(w, from, to); err != nil || from == to {
		return Finding{}, err
	}
	return refuse(w, from, to)
}

// boxBehind finds a box of one of the types behind padding. The four bytes of a box's length may look like
// padding (32 is a space), so the box may begin that much before the first other byte.
func boxBehind(k *bmff.Walker, from, to int64, types ...string) (bmff.Box, bool, error) {
	first, err := skipPadding(k.Reader, from, to)
	if err != nil {
		return bmff.Box{}, false, err
	}
	for off := max(from, first-4); off <= first; off++ {
		b, err := k.Next(off, to)
		if trouble(err) != nil {
			return bmff.Box{}, false, err
		}
		if err == nil && slices.Contains(types, b.Type) {
			return b, true, nil
		}
	}
	return bmff.Box{}, false, nil
}

// maxNamed bounds how much of what is refused anyway is read to name it.
const maxNamed = 4 << 20

// refuse names what stands between from and to as well as it can; it is never Clean.
func refuse(w *window.Reader, from, to int64) (Finding, error) {
	f, err := classify(w, from, min(to, from+maxNamed))
	if err == nil && f.Kind == Clean {
		f = Finding{Data, "unknown", from}
	}
	return f, err
}

// skipPadding passes over what hides nothing: zeros, fill bytes, line ends.
func skipPadding(w *window.Reader, from, to int64) (int64, error) {
	for from < to {
		b, err := w.Chunk(from, to)
		if err != nil {
			return 0, err
		}
		if rest := bytes.TrimLeft(b, "\x00\r\n\t "); len(rest) > 0 && rest[0] != 0xff {
			return from + int64(len(b)-len(rest)), nil
		} else if len(rest) > 0 {
			b = b[:len(b)-len(rest)+1] // TrimLeft works on runes, so 0xff is passed by hand
		}
		from += int64(len(b))
	}
	return from, nil
}

// skipMarker passes over the label that older Samsung phones put between picture and video.
func skipMarker(w *window.Reader, from, to int64) (int64, error) {
	const marker = "MotionPhoto_Data"
	first, err := skipPadding(w, from, to)
	if err != nil || to-first <= int64(len(marker)) {
		return from, err
	}
	b, err := w.View(first, len(marker))
	if err == nil && string(b) == marker {
		from = first + int64(len(marker))
	}
	return from, err
}

// trouble keeps of an error of a box walk what is not the file's fault.
func trouble(err error) error {
	for _, fault := range []error{bmff.ErrMalformed, bmff.ErrTruncated, bmff.ErrTooMany, window.ErrShort} {
		if errors.Is(err, fault) {
			return nil
		}
	}
	return err
}
