// Package intake lets an upload in or says why not. It takes a name, a declared size and a reader, never an
// HTTP request: multipart uploads, resumable uploads and release artifacts all come through this door.
//
// A file is a Candidate and walks down THE list in rules.go, in three stages: what the client says (before
// any byte is read), the first bytes, and the whole spooled file. Every rule is one file:
//
//	name.go       the file name is one line of visible text that no system mistakes for a path
//	extension.go  the extension belongs to a category of the tenant's policy
//	size.go       the size, first as declared, then as counted
//	sniff.go      the bytes are what the extension says
//	image.go      the picture's header is sound and its pixels and frames are bounded
//	trailer.go    nothing hides behind the picture's end
//	ooxml.go      Word, Excel and PowerPoint packages (the work is done in package ooxml)
//	pdf.go        active content in PDFs (the work is done in package pdf)
//	text.go       text files are text, all of them
//
// A refusal is a *storage.Error whose Reason is declared beside the rule that gives it. Every rule runs in
// constant memory, whatever the size of the file, and fails closed: what it cannot read it does not pass.
package intake
