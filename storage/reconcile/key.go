package reconcile

import "gatehouse/storage"

// object is what a key says.
type object struct {
	key      string
	tenantID string
	sha256   string
	// preset is empty for the blob itself.
	preset string
}

// parseKey reports false for a key that is not one of ours (storage.ParseKey).
func parseKey(key string) (object, bool) {
	k, ok := storage.ParseKey(key)
	if !ok {
		return object{}, false
	}
	return object{key: key, tenantID: k.TenantID, sha256: k.SHA256, preset: k.Preset}, true
}
