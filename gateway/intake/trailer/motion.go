package trailer

import (
	"strings"

	"gatehouse/gateway/intake/bmff"
	"gatehouse/gateway/intake/window"
)

// mediaBoxes are the boxes that the videos of motion photos are made of.
var mediaBoxes = map[string]bool{
	"ftyp": true, "moov": true, "mdat": true, "free": true, "skip": true, "wide": true, "uuid": true, "moof": true,
	"mfra": true, "sidx": true, "styp": true, "udta": true, "meta": true, "pdin": true,
}

// hasVideoBrand reports whether an ftyp box of a video stands at off.
func hasVideoBrand(w *window.Reader, off int64) bool {
	b, err := w.View(off, int(min(256, w.Size()-off)))
	if err != nil {
		return false // the caller reads there next and meets the error itself
	}
	brands, ok := bmff.ParseBrands(b)
	return ok && strings.HasPrefix(brands.MediaType(), "video/")
}

// motionVideo judges the video of a motion photo, which must fill the space between from and to: an MP4 of known
// boxes, with a video track and its data, and only padding behind it.
func motionVideo(w *window.Reader, from, to int64) (Finding, error) {
	k := bmff.NewWalker(w, maxBoxes)
	seen := map[string]bool{}
	video := false
	off := from
	for off < to {
		b, err := k.Next(off, to)
		if trouble(err) != nil {
			return Finding{}, err
		}
		if err != nil || b.ToEnd || !mediaBoxes[b.Type] || b.Type == "ftyp" && off != from {
			break
		}
		seen[b.Type] = true
		switch b.Type {
		case "moov":
			has, err := hasVideoTrack(k, b)
			if err != nil {
				return Finding{}, err
			}
			video = video || has
		case "mdat", "moof":
		default:
			if f, err := boxContent(w, b); err != nil || f.Kind != Clean {
				return f, err
			}
		}
		off = b.End
	}
	if !video || !seen["mdat"] {
		return refuse(w, from, to)
	}
	rest, err := skipPadding(w, off, to)
	if err != nil || rest == to {
		return Finding{}, err
	}
	return refuse(w, rest, to)
}

// hasVideoTrack reports whether a track of moov has the handler "vide".
func hasVideoTrack(k *bmff.Walker, moov bmff.Box) (bool, error) {
	found := false
	err := k.Descend(moov.Body, moov.End, func(b bmff.Box) error {
		h, err := k.View(b.Body, 12)
		if err == nil && b.Len() >= 12 && string(h[8:12]) == "vide" {
			found = true
		}
		return err
	}, "trak", "mdia", "hdlr")
	if err != nil {
		return false, trouble(err)
	}
	return found, nil
}

// boxContent looks at the beginning of what a box of no further interest carries.
func boxContent(w *window.Reader, b bmff.Box) (Finding, error) {
	from := b.Body
	if b.Type == "uuid" {
		from += 16
	}
	if from >= b.End {
		return Finding{}, nil
	}
	return beginsWith(w, from, b.End)
}
