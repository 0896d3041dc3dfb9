// Package intake lets an upload in or says why not. It takes a name, a declared size and a reader, never an
// HTTP request: multipart uploads, resumable uploads and release artifacts all come through this door.
//
// A file is a Candidate and walks down THE list in rules.go, in three stages: what the client says (before
// any byte is read), the first bytes, and the whole spooled file. Every rule is one file:
//
//	name.go       the file name is one line of visible text that no system mistakes for a path
//	extension.go  the extension belongs to a category of the tenant's policy
//	size.go       the size, first as declared, then as counted
//	sniff.go      the bytes are what the extension says (sniff_table.go: what is what; package sniff)
//	image.go      the picture is whole and its pixels and frames are bounded (package picture)
//	trailer.go    nothing hides behind the picture's end (package trailer)
//	ooxml.go      Word, Excel and PowerPoint packages (the work is done in package ooxml)
//	pdf.go        active content in PDFs (the work is done in package pdf)
//	text.go       text files are text, all of them
//	release.go    files of releases are what they are called (package installer)
//
// Around the rules, receive.go walks an upload through the stages, spool.go holds its bytes meanwhile,
// digest.go checks what the client claims about them, repeat.go answers what was uploaded before under the same
// Idempotency-Key, store.go makes the file durable, and resume.go goes on with what a known blob still waits for.
// Bytes that are known but not in the store (known.go) are put there again (heal.go), unless the whole store is in
// doubt (witness.go).
//
// A refusal is a *storage.Error whose Reason is declared beside the rule that gives it. Every rule runs in
// constant memory, whatever the size of the file, and fails closed: what it cannot read it does not pass.
package intake
