package intake

import (
	"strings"

	"gatehouse/gateway/intake/sniff"
	"gatehouse/storage"
)

// checkType looks at the first bytes and refuses what is of no allowed type or not what its extension says. The
// extension never decides the type; it only has to agree. It fills MediaType.
func checkType(c *Candidate) error {
	if len(c.Head) == 0 {
		return nil // an empty file is the size rule's to refuse
	}
	detected := sniff.Type(c.Head)
	row, known := extensionTypes[c.Ext]
	if !known {
		// Only release artifacts may be of any type; an extension that was added to another category has no rules
		// that could look inside.
		if c.Category != storage.CategoryRelease {
			return storage.Refuse(storage.CodeTypeNotAllowed, storage.Details{"detected": detected})
		}
		c.MediaType = detected
		return nil
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
