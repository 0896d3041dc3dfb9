package httpapi

import (
	_ "embed"
	"reflect"

	"github.com/gofiber/fiber/v2"

	"gatehouse/gateway/admin/api"
)

// OpenAPI is the OpenAPI 3.1 document of what the gateway serves to tenants and to everybody, as YAML. /openapi.yaml and
// `gateway openapi` give out these bytes; the contract test holds them against the route table. Callers must not change them.
//
//go:embed openapi.yaml
var OpenAPI []byte

// AdminOpenAPI is the OpenAPI 3.1 document of the admin API. It is made from AdminRoutes and the types of their endpoints; a
// test finds it out of date and writes it anew: go test ./gateway/httpapi -run AdminDocument -update
//
//go:embed openapi_admin.yaml
var AdminOpenAPI []byte

// mediaYAML is the media type of a document (RFC 9512).
const mediaYAML = "application/yaml"

func sendDocument(document []byte) fiber.Handler {
	return func(c *fiber.Ctx) error {
		c.Set(fiber.HeaderContentType, mediaYAML+"; charset=utf-8")
		return c.Send(document)
	}
}

// adminDocument is the call that gives operators the document of their calls.
func adminDocument() api.Endpoint {
	return api.Endpoint{Handler: sendDocument(AdminOpenAPI), In: reflect.TypeFor[api.Nothing](), Media: mediaYAML}
}
