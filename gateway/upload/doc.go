// Package upload reads an upload out of an HTTP request: the headers that are about the file, and the form around it. Every door
// for files (a tenant's, the operators') does it here, and then hands it to the intake, which knows nothing of requests.
//
//	upload.go   the request up to the first byte of its file; Idempotency-Key
//	digests.go  Content-Digest and Repr-Digest
package upload
