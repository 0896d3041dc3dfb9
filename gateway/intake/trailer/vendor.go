package trailer

import (
	"bytes"
	"encoding/binary"
	"encoding/json"

	"gatehouse/gateway/intake/window"
)

// maxVendorBlock bounds the blocks of notes that vendors append (the Samsung directory has bounds of its own).
const maxVendorBlock = 1 << 20

// vendorBlock recognises one kind of block at the end of the space between from and to and returns where it
// begins; to itself when there is none. Only zeros stand between to and limit, and they may be the block's own.
// Blocks known from ExifTool's documentation of trailers.
type vendorBlock func(w *window.Reader, from, to, limit int64) (start int64, f Finding, err error)

var vendorBlocks = []vendorBlock{samsung, onePlus, vivo, canon, huawei}

// trimVendor takes vendors' blocks off the end and returns the new end. Phones stack two at the most.
func trimVendor(w *window.Reader, from, to int64) (int64, Finding, error) {
	for range 4 {
		end, err := trimZeros(w, from, to)
		if err != nil {
			return 0, Finding{}, err
		}
		start := end
		for _, block := range vendorBlocks {
			var f Finding
			if start, f, err = block(w, from, end, to); err != nil || f.Kind != Clean {
				return 0, f, err
			}
			if start < end {
				break
			}
		}
		if start == end {
			return to, Finding{}, nil
		}
		to = start
	}
	return to, Finding{}, nil
}

// trimZeros returns the end of the space without the zeros at its end.
func trimZeros(w *window.Reader, from, to int64) (int64, error) {
	for to > from {
		n := min(to-from, window.Block)
		b, err := w.View(to-n, int(n))
		if err != nil {
			return 0, err
		}
		rest := bytes.TrimRight(b, "\x00")
		if len(rest) > 0 {
			return to - n + int64(len(rest)), nil
		}
		to -= n
	}
	return to, nil
}

// tail returns the last n bytes of the space, nil when it is shorter.
func tail(w *window.Reader, from, to int64, n int) ([]byte, error) {
	if to-from < int64(n) {
		return nil, nil
	}
	return w.View(to-int64(n), n)
}

// onePlus: a JSON list of {name, offset, length}, then its length behind "jxrs". Offsets count back from the list.
func onePlus(w *window.Reader, from, to, limit int64) (int64, Finding, error) {
	for end := to; end <= min(to+3, limit); end++ { // the length ends in zeros
		b, err := tail(w, from, end, 8)
		if err != nil {
			return 0, Finding{}, err
		}
		if len(b) < 8 || string(b[:4]) != "jxrs" {
			continue
		}
		n := int64(binary.LittleEndian.Uint32(b[4:]))
		if n <= 8 || n > window.Block || n > end-from {
			continue
		}
		if b, err = w.View(end-n, int(n-8)); err != nil {
			return 0, Finding{}, err
		}
		var list []struct {
			Offset int64 `json:"offset"`
		}
		if json.Unmarshal(bytes.TrimRight(b, "\x00"), &list) != nil {
			continue
		}
		start := end - n
		for _, item := range list {
			if item.Offset < 0 || item.Offset > maxVendorBlock {
				return to, Finding{}, nil
			}
			start = min(start, end-n-item.Offset)
		}
		if start < from {
			continue
		}
		f, err := classify(w, start, end)
		return start, f, err
	}
	return to, Finding{}, nil
}

var vivoFooter = []byte("\xff\xff\xff\xff\x1b*9HWfu\x84\x93\xa2\xb1")

// vivo: notes in JSON behind "vivo", with a JPEG behind "streamdata" before them, up to a fixed footer.
func vivo(w *window.Reader, from, to, _ int64) (int64, Finding, error) {
	b, err := tail(w, from, to, len(vivoFooter))
	if err != nil || !bytes.Equal(b, vivoFooter) {
		return to, Finding{}, err
	}
	head, err := scan(w, from, to, []needle{{Data, "stream", "streamdata\xff\xd8\xff", false, nil}, {Data, "notes", `vivo{"`, false, nil}})
	if err != nil || head.Kind == Clean || to-head.Offset > 10*maxVendorBlock {
		return to, Finding{}, err
	}
	if head.What == "stream" {
		return head.Offset, Finding{}, nil // hiddenAnywhere has been through the pixels
	}
	f, err := classify(w, head.Offset, to)
	return head.Offset, f, err
}

// canon: raw development settings between a header and a footer of the same name.
func canon(w *window.Reader, from, to, limit int64) (int64, Finding, error) {
	const name, header, footer = "CANON OPTIONAL DATA\x00", 28, 64
	for end := to; end <= min(to+footer, limit); end++ { // the footer may end in zeros
		b, err := tail(w, from, end, footer)
		if err != nil {
			return 0, Finding{}, err
		}
		if len(b) < footer || string(b[:len(name)]) != name {
			continue
		}
		start := end - footer - header - int64(binary.BigEndian.Uint32(b[len(name):]))
		if start < from || end-start > maxVendorBlock {
			break
		}
		if b, err = w.View(start, len(name)); err != nil || string(b) != name {
			return to, Finding{}, err
		}
		f, err := classify(w, start, end)
		return start, f, err
	}
	return to, Finding{}, nil
}

// huawei: one to three fields of 20 characters; the last is "LIVE_" and a number.
func huawei(w *window.Reader, from, to, _ int64) (int64, Finding, error) {
	const field = 20
	b, err := tail(w, from, to, field)
	if err != nil || len(b) < field || string(b[:5]) != "LIVE_" || !printableField(b) {
		return to, Finding{}, err
	}
	start := to - field
	for range 2 {
		if b, err = tail(w, from, start, field); err != nil {
			return 0, Finding{}, err
		}
		if len(b) < field || !printableField(b) {
			break
		}
		start -= field
	}
	return start, Finding{}, nil
}

func printableField(b []byte) bool {
	for _, c := range b {
		if c < 0x20 || c > 0x7e {
			return false
		}
	}
	return true
}
