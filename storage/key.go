package storage

import (
	"crypto/sha256"
	"slices"
	"strings"
)

// BlobKey is where a blob of a tenant lies in a zone: <tenant>/<first two hex>/<sha256>.
func BlobKey(tenantID, sha256 string) string {
	return tenantID + "/" + sha256[:2] + "/" + sha256
}

// VariantKey is where a variant lies: the blob's key followed by .<preset>.<tag>.<ext>. The tag is of the variant's own
// bytes (VariantTag), so that a worker that has lost its task can never overwrite what another has published. It is
// empty, and its dot absent, for variants that are older than tags.
func VariantKey(tenantID, sha256, preset, tag, ext string) string {
	if tag != "" {
		preset += "." + tag
	}
	return BlobKey(tenantID, sha256) + "." + preset + "." + ext
}

// tagLength is how many hex digits a tag has: 48 bits, enough to tell a handful of attempts apart.
const tagLength = 12

// VariantTag is the tag of a variant with that SHA-256.
func VariantTag(digest string) string { return digest[:tagLength] }

// TrashPrefix begins the keys of what lies in the trash, a part of the quarantine zone.
const TrashPrefix = "trash/"

// TrashKey is where an object of a zone waits that nothing speaks of: in quarantine, from which nothing is ever served.
func TrashKey(zone Zone, key string) string { return TrashPrefix + string(zone) + "/" + key }

// Key is what a key of the store says.
type Key struct {
	TenantID, SHA256 string
	// Preset is empty for the blob itself, Tag also for variants that are older than tags.
	Preset, Tag, Ext string
}

// ParseKey reads what BlobKey and VariantKey made; it reports false for any other key.
func ParseKey(key string) (Key, bool) {
	tenantID, rest, ok := strings.Cut(key, "/")
	if !ok || tenantID == "" {
		return Key{}, false
	}
	_, name, ok := strings.Cut(rest, "/")
	if !ok {
		return Key{}, false
	}
	digest, derived, isVariant := strings.Cut(name, ".")
	if !isHex(digest, 2*sha256.Size) {
		return Key{}, false
	}
	k := Key{TenantID: tenantID, SHA256: digest}
	if !isVariant {
		return whole(k, key == BlobKey(tenantID, digest))
	}
	parts := strings.Split(derived, ".")
	if len(parts) < 2 || len(parts) > 3 || slices.Contains(parts, "") {
		return Key{}, false
	}
	k.Preset, k.Ext = parts[0], parts[len(parts)-1]
	if len(parts) == 3 {
		k.Tag = parts[1]
	}
	return whole(k, (k.Tag == "" || isHex(k.Tag, tagLength)) && key == VariantKey(tenantID, digest, k.Preset, k.Tag, k.Ext))
}

func whole(k Key, ok bool) (Key, bool) {
	if !ok {
		return Key{}, false
	}
	return k, true
}

func isHex(s string, length int) bool {
	return len(s) == length && strings.Trim(s, "0123456789abcdef") == ""
}
