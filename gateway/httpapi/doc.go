// Package httpapi is the HTTP face of the gateway: the server and what surrounds every request, THE route table,
// and THE table that says which status and which sentence belong to an error code.
//
// A request passes, from the outside in:
//
//	stream.Listener   connections with rolling deadlines and a lingering close
//	fasthttp          headers, under a deadline; what it refuses itself comes to Server.protocolError
//	Server.expect     for Expect: 100-continue, the header checks, before any byte of the body is sent
//	Server.handle     request id, client address, security headers, framing, panics, unread bodies, log, metrics
//	fiber             the route table: a guard for the row's permission, then the handler
//
// Handlers return errors; Server.refuse alone turns an error into a response.
package httpapi
