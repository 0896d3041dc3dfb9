package manifest

import (
	"net/url"
	"strings"
	"unicode/utf8"
)

// place is what an address in a manifest means.
type place struct {
	// folder is empty for a file that lies beside the manifest.
	folder, name string
}

// placeOf reads an address as JavaScript's URL does, and refuses whatever that would lead elsewhere or take another way: a scheme,
// a host, a query, backslashes (which are slashes to it), white space at the ends and control characters (which it drops).
func placeOf(address string) (place, bool) {
	if strings.ContainsAny(address, `\?#:`) || strings.ContainsFunc(address, isControl) || strings.TrimSpace(address) != address {
		return place{}, false
	}
	folder, name, two := strings.Cut(address, "/")
	if !two {
		folder, name = "", address
	}
	p := place{}
	var ok bool
	if p.name, ok = segment(name); !ok {
		return place{}, false
	}
	if two {
		if p.folder, ok = segment(folder); !ok {
			return place{}, false
		}
	}
	return p, true
}

func isControl(r rune) bool { return r < 0x20 || r == 0x7f }

// segment decodes one part of a path, which must stay one part.
func segment(escaped string) (string, bool) {
	s, err := url.PathUnescape(escaped)
	switch {
	case err != nil, !utf8.ValidString(s), strings.ContainsAny(s, `/\`), strings.ContainsFunc(s, isControl):
		return "", false
	case s == "", s == ".", s == "..":
		return "", false
	}
	return s, true
}

// carries reports whether the version stands in the address: as the folder, or in the name and not as a part of a longer one.
func (p place) carries(version string) bool {
	if p.folder != "" {
		return p.folder == version
	}
	for rest, before := p.name, byte(0); ; {
		at := strings.Index(rest, version)
		if at < 0 {
			return false
		}
		if at > 0 {
			before = rest[at-1]
		}
		end := at + len(version)
		if !isDigit(before) && (end == len(rest) || !isDigit(rest[end])) {
			return true
		}
		before, rest = rest[at], rest[at+1:]
	}
}

func isDigit(b byte) bool { return b >= '0' && b <= '9' }
