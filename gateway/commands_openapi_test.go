package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/gateway/httpapi"
)

func TestOpenAPIPrintsEitherDocument(t *testing.T) {
	x := newTerminal(t)
	require.Equal(t, string(httpapi.OpenAPI), x.run("openapi"))
	require.Equal(t, string(httpapi.AdminOpenAPI), x.run("openapi", "--admin"))
}
