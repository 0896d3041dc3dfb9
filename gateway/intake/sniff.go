package intake

import (
	"strings"

	"gatehouse/gateway/intake/sniff"
	"gatehouse/storage"
)

// checkType looks at the first bytes and refuses what is of no allowed type or not what its extension says. The
// extension never decides the type; it only has to agree. It fills MediaType.
func checkType(c *Candidate) error {
	if len(c.Head) == 0 || c.Category == storage.CategoryRelease {
		return nil // an empty file is the size rule's to refuse, a release's file the release rule's
	}
	detected := sniff.Type(c.Head)
	row, known := extensionTypes[c.Ext]
	if !known {
		// An extension that was added to a category has no rules that could look inside.
		return storage.Refuse(storage.CodeTypeNotAllowed, storage.Details{"detected": detected})
	}
	canonical, agrees := row[detected]
	switch {
	case agrees:
		c.MediaType = canonical
		return nil
	case !inAllowedCategory(c.Policy, detected):
		return storage.Refuse(storage.CodeTypeNotAllowed, storage.Details{"detected": detected})
	}
	return storage.Refuse(storage.CodeTypeMismatch, storage.Details{
		"extension": c.Ext,
		"detected":  detected,
		"expected":  strings.Join(expectedTypes(row), ", "),
	})
}
