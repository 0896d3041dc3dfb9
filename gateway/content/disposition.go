package content

import (
	"strings"
	"unicode/utf8"
)

// maxDispositionName bounds the name in bytes, as the name rules of uploads do.
const maxDispositionName = 255

// Disposition is the Content-Disposition header (RFC 6266) for a file of this name: an ASCII fallback for old
// clients, and filename* (RFC 8187) when the name needs more. Whatever the name holds, the header stays one line
// and one parameter each.
func Disposition(name string, inline bool) string {
	kind := "attachment"
	if inline {
		kind = "inline"
	}
	for len(name) > maxDispositionName {
		_, n := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-n]
	}
	name = strings.ToValidUTF8(name, "_")
	if name == "" {
		return kind
	}
	var plain, encoded strings.Builder
	exact := true
	for _, r := range name {
		if r < 0x20 || r == 0x7f || r > 0x7e || strings.ContainsRune(`"\/%`, r) {
			// Percent signs are left out because some browsers decode them in the plain form.
			plain.WriteByte('_')
			exact = false
		} else {
			plain.WriteRune(r)
		}
	}
	header := kind + `; filename="` + plain.String() + `"`
	if exact {
		return header
	}
	const hex = "0123456789ABCDEF"
	for i := range len(name) {
		if b := name[i]; attrChar(b) {
			encoded.WriteByte(b)
		} else {
			encoded.WriteString(string([]byte{'%', hex[b>>4], hex[b&15]}))
		}
	}
	return header + "; filename*=UTF-8''" + encoded.String()
}

// attrChar is RFC 8187's set of bytes that need no encoding.
func attrChar(b byte) bool {
	return b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || strings.IndexByte("!#$&+-.^_`|~", b) >= 0
}
