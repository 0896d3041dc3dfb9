package intake

import "gatehouse/storage"

// checkDeclaredSize refuses on what the client says, before any byte is read. An unknown size (negative)
// passes: the bytes will be counted.
func checkDeclaredSize(c *Candidate) error {
	if c.DeclaredSize < 0 {
		return nil
	}
	return fits(c, c.DeclaredSize, !c.SizeIsBound)
}

// checkSize refuses on the counted size; what the client declared does not matter any more.
func checkSize(c *Candidate) error { return fits(c, c.Size, true) }

// fits states the size in a refusal only when it is exact.
func fits(c *Candidate, size int64, exact bool) error {
	if size == 0 {
		return storage.Refuse(storage.CodeFileEmpty, nil)
	}
	limit := c.Policy.Categories[c.Category].MaxBytes
	if size > limit {
		d := storage.Details{"limit": limit, "category": string(c.Category)}
		if exact {
			d["size"] = size
		}
		return storage.Refuse(storage.CodeFileTooLarge, d)
	}
	return nil
}
