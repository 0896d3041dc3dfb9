// Package content serves one stored object over HTTP: GET and HEAD, preconditions, single and multiple ranges,
// and the headers that keep foreign bytes harmless in a browser.
//
// Bytes flow from the store to the connection through one 64 KiB buffer; nothing is held whole. The response's
// length is always announced exactly. When the store fails midway the connection is cut, so that no client takes
// a damaged file for a complete one.
//
// What may be served is not decided here: the caller has checked that the object is available to whom asks.
package content
