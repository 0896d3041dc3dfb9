package intake

import "gatehouse/gateway/intake/pdf"

// checkPDF refuses PDFs that act by themselves, unless the plan accepts that, and PDFs that cannot be read.
func checkPDF(c *Candidate) error {
	if c.Ext != "pdf" {
		return nil
	}
	return pdf.Check(c.Body, c.Size, pdf.Options{
		AllowActive:     c.Policy.PDFActiveContent,
		MaxInflateBytes: c.Policy.Limits.MaxPDFInflateBytes,
	})
}
