package httpapi

import _ "embed"

// OpenAPI is the OpenAPI 3.1 document of everything the gateway serves, as YAML. /openapi.yaml and `gateway openapi`
// give out these bytes; the contract test holds them against the route table. Callers must not change them.
//
//go:embed openapi.yaml
var OpenAPI []byte
