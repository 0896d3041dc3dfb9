// Package api is the admin API: the calls of operators over HTTP. A call is a typed function from what it takes to what it
// gives (Call, List); binding, paging, CSV and errors are done once, here. What a call does is a use case of package admin,
// and who may call it stands in THE route table (gateway/httpapi).
//
// The OpenAPI document is made from the types of inputs and answers. Beside path, query and json a field may be tagged
// doc:"A sentence.", enum:"a,b" (a type with typed constants has them without) and, in an input, required:"true".
//
//	api.go       what all calls have
//	endpoint.go  a call: one answer
//	list.go      a list: keyset pages, or all of it as CSV
//	named.go     what names something in a path
//	input.go     path, query and body into a struct, strictly
//	plans.go ... the calls, one file a subject
package api
