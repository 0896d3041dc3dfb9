package reconcile

import (
	"slices"
	"strings"

	"gatehouse/storage"
)

// object is what a key says.
type object struct {
	key      string
	tenantID string
	sha256   string
	// preset is empty for the blob itself.
	preset string
}

// parseKey reads what storage.BlobKey and storage.VariantKey made; it reports false for any other key.
func parseKey(key string) (object, bool) {
	tenantID, rest, ok := strings.Cut(key, "/")
	if !ok || tenantID == "" {
		return object{}, false
	}
	_, name, ok := strings.Cut(rest, "/")
	if !ok {
		return object{}, false
	}
	digest, derived, isVariant := strings.Cut(name, ".")
	if !isHex(digest, 64) {
		return object{}, false
	}
	o := object{key: key, tenantID: tenantID, sha256: digest}
	if !isVariant {
		return o, key == storage.BlobKey(tenantID, digest)
	}
	parts := strings.Split(derived, ".")
	if len(parts) < 2 || len(parts) > 3 || slices.Contains(parts, "") {
		return object{}, false
	}
	o.preset = parts[0]
	tag, ext := "", parts[len(parts)-1]
	if len(parts) == 3 {
		tag = parts[1]
	}
	return o, (tag == "" || isHex(tag, 12)) && key == storage.VariantKey(tenantID, digest, o.preset, tag, ext)
}

func isHex(s string, length int) bool {
	return len(s) == length && strings.Trim(s, "0123456789abcdef") == ""
}
