// Package assets is the tenant API: one file an endpoint, each a handler that reads the request, asks intake or
// the store, and answers in JSON. Handlers return domain errors; package httpapi turns them into HTTP.
package assets
