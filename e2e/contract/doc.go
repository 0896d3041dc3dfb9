// Package contract holds real responses against the OpenAPI documents: that of the admin API for addresses under
// /api/admin/, the other one for the rest.
//
//	client := &http.Client{Transport: contract.Validator(t)}
//
// Every response that passes through such a client is looked up in the document by method and path: its status must
// be listed, its headers and its JSON body must fit, and a refusal's code must be one that the call lists. Event
// streams are checked event by event as they are read. A response that does not fit fails the test and is handed on
// unchanged. Requests are not checked: tests send wrong ones on purpose.
//
// It is for the gateway only; the worker's own port is not in a document.
package contract
