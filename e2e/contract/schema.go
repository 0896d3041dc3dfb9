package contract

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/getkin/kin-openapi/openapi3"
)

// Fits checks JSON against the schema of that name in the document.
func Fits(doc *openapi3.T, schema string, raw []byte) error {
	s, ok := doc.Components.Schemas[schema]
	if !ok {
		return fmt.Errorf("the document has no schema %s", schema)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return fmt.Errorf("not JSON: %w", err)
	}
	if err := s.Value.VisitJSON(v, openapi3.EnableJSONSchema2020(), openapi3.VisitAsResponse()); err != nil {
		return fmt.Errorf("does not fit the schema %s: %w", schema, err)
	}
	return nil
}
