// Package stream makes a request body an honest stream.
//
// fasthttp hands out bodies that may be shorter than promised, that may stay unread on a connection that is then
// used again (request smuggling), and whose early refusals are lost while the client still sends. The pieces here
// close those holes, in the order a request meets them:
//
//   - Listener and Conn: connections with a rolling write deadline, and a lingering close for those whose client
//     may still be sending
//   - Attach and Settle: called around every handler. Attach refuses framings that proxies and servers read
//     differently and puts a Body on the request; Settle makes sure that no unread byte stays on a connection
//     that is kept
//   - Body: counts against Content-Length, cuts clients slower than a minimum rate, knows truncated from complete
//   - Form: multipart/form-data with one file, read part by part in constant memory
//   - ReadJSON: small, strict JSON bodies
//
// Every refusal is a *storage.Error; the ones with many causes carry one of the reasons in reasons.go.
package stream
