package clamd

import (
	"fmt"
	"regexp"
	"strings"

	"gatehouse/storage"
)

// streamTooLong is clamd's answer to a stream over its StreamMaxLength. It bears no subject and is no FOUND.
const streamTooLong = "INSTREAM size limit exceeded. ERROR"

// The subject that opens an answer: what clamd calls the thing it scanned.
var (
	fildesSubject = regexp.MustCompile(`^fd\[\d+\]$`)
	streamSubject = regexp.MustCompile(`^stream$`)
)

// unlookedFamilies are the signature families by which clamd says that it did not look inside (with
// AlertExceedsMax and AlertEncrypted on).
var unlookedFamilies = []string{"Heuristics.Limits.", "Heuristics.Encrypted."}

// finding is what one answer says about the bytes.
type finding struct {
	status    storage.ScanStatus
	signature string
}

// parseReply reads one scan answer. Whatever is not exactly "<subject>: OK" or "<subject>: <name> FOUND" is an
// error, so that no surprise is ever clean.
func parseReply(reply string, subject *regexp.Regexp) (finding, error) {
	if reply == streamTooLong {
		return finding{storage.ScanUnscannable, "INSTREAM size limit exceeded"}, nil
	}
	head, tail, found := strings.Cut(reply, ": ")
	if !found || !subject.MatchString(head) {
		return finding{}, fmt.Errorf("clamd answered %.200q", reply)
	}
	if tail == "OK" {
		return finding{status: storage.ScanClean}, nil
	}
	name, found := strings.CutSuffix(tail, " FOUND")
	if !found || name == "" || !printable(name) {
		return finding{}, fmt.Errorf("clamd answered %.200q", reply)
	}
	for _, family := range unlookedFamilies {
		if strings.HasPrefix(name, family) {
			return finding{storage.ScanUnscannable, name}, nil
		}
	}
	return finding{storage.ScanInfected, name}, nil
}

// printable keeps what could break a log line or a JSON document out of signature names.
func printable(s string) bool {
	for _, r := range s {
		if r < ' ' || r > '~' {
			return false
		}
	}
	return true
}
