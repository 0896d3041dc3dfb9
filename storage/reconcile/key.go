package reconcile

import (
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
	if len(digest) != 64 || strings.Trim(digest, "0123456789abcdef") != "" {
		return object{}, false
	}
	o := object{key: key, tenantID: tenantID, sha256: digest}
	if !isVariant {
		return o, key == storage.BlobKey(tenantID, digest)
	}
	preset, ext, ok := strings.Cut(derived, ".")
	o.preset = preset
	return o, ok && preset != "" && ext != "" && !strings.Contains(ext, ".") &&
		key == storage.VariantKey(tenantID, digest, preset, ext)
}
