package release

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"regexp"
	"strings"
)

var uuidForm = regexp.MustCompile(`^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// InStage reports whether a device is among the first percentage of all devices, as electron-updater decides it: the last four
// bytes of its UUID, as a fraction of the largest number they can be, lie below the percentage. A device that is in a stage
// is in every larger one. What is not a UUID counts by its SHA-256; a device without any id is in no stage but the whole.
func InStage(device string, percentage int) bool {
	if percentage >= 100 {
		return true // electron-updater leaves out the one UUID in four billion whose fraction is 1
	}
	if device == "" || percentage <= 0 {
		return false
	}
	return fraction(device) < float64(percentage)/100
}

func fraction(device string) float64 {
	var last []byte
	if id := strings.ToLower(device); uuidForm.MatchString(id) {
		last, _ = hex.DecodeString(id[len(id)-8:]) // the form says that these are digits
	} else {
		sum := sha256.Sum256([]byte(device))
		last = sum[12:16]
	}
	return float64(binary.BigEndian.Uint32(last)) / 0xffffffff
}
