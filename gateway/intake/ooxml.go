package intake

import "gatehouse/gateway/intake/ooxml"

// checkOOXML refuses Word, Excel and PowerPoint packages that hide, load or run something, and archives that
// two readers would read differently.
func checkOOXML(c *Candidate) error {
	if !ooxml.Handles(c.Ext) {
		return nil
	}
	return ooxml.Check(c.Body, c.Size, c.Ext, c.Policy.Limits)
}
