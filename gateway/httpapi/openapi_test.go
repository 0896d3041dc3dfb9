package httpapi

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/gofiber/fiber/v2"
	"github.com/stretchr/testify/require"

	"gatehouse/gateway/assets"
	"gatehouse/gateway/release"
	"gatehouse/gateway/release/devices"
	"gatehouse/storage"
)

func document(t *testing.T) *openapi3.T {
	t.Helper()
	loader := openapi3.NewLoader()
	loader.Context = t.Context()
	doc, err := loader.LoadFromData(OpenAPI)
	require.NoError(t, err)
	return doc
}

func routeTable() []Route {
	return Routes(Handlers{Assets: &assets.API{}, Devices: &devices.API{}, Health: &Health{}, Metrics: func(*fiber.Ctx) error { return nil }})
}

// TestOpenAPIIsValid also validates every example against its schema.
func TestOpenAPIIsValid(t *testing.T) {
	require.NoError(t, document(t).Validate(t.Context()))
}

func TestOpenAPIListsTheRouteTable(t *testing.T) {
	var routes, documented []string
	for _, r := range routeTable() {
		routes = append(routes, r.Method+" "+r.OpenAPIPath())
	}
	for path, item := range document(t).Paths.Map() {
		for method := range item.Operations() {
			documented = append(documented, method+" "+path)
		}
	}
	require.ElementsMatch(t, routes, documented)
}

func TestOpenAPIOperations(t *testing.T) {
	doc := document(t)
	permissions := map[string]Permission{}
	for _, r := range routeTable() {
		permissions[r.Method+" "+r.OpenAPIPath()] = r.Permission
	}
	ids := map[string]string{}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			row := method + " " + path
			require.NotEmpty(t, op.OperationID, row)
			require.Empty(t, ids[op.OperationID], "the operation id of %s is taken", row)
			ids[op.OperationID] = row
			require.NotEmpty(t, op.Summary, row)
			require.Len(t, op.Tags, 1, row)

			public := op.Security != nil && len(*op.Security) == 0
			require.Equal(t, permissions[row] == Public, public, "%s: security", row)
			require.Equal(t, pathParameters(path), declaredPathParameters(item, op), "%s: path parameters", row)
			if strings.HasPrefix(path, "/api/") {
				refusals := []string{"400", "500", "503"}
				if !public {
					refusals = append(refusals, "401", "403")
				}
				for _, status := range refusals {
					require.NotNil(t, op.Responses.Value(status), "%s: %s is not listed", row, status)
				}
			}
		}
	}
}

func pathParameters(path string) []string {
	var out []string
	for part := range strings.SplitSeq(path, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			out = append(out, strings.TrimSuffix(name, "}"))
		}
	}
	return out
}

func declaredPathParameters(item *openapi3.PathItem, op *openapi3.Operation) []string {
	var out []string
	for _, p := range append(slices.Clone(item.Parameters), op.Parameters...) {
		if p.Value.In == openapi3.ParameterInPath {
			out = append(out, p.Value.Name)
		}
	}
	return out
}

// TestOpenAPIListsEveryCode reads the constants from their source: a code that nobody wrote into the document fails.
func TestOpenAPIListsEveryCode(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../../storage/errors.go", nil, 0)
	require.NoError(t, err)
	var declared []string
	for _, d := range file.Decls {
		decl, ok := d.(*ast.GenDecl)
		if !ok || decl.Tok != token.CONST {
			continue
		}
		for _, spec := range decl.Specs {
			v := spec.(*ast.ValueSpec)
			if typ, ok := v.Type.(*ast.Ident); !ok || typ.Name != "Code" {
				continue
			}
			code, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			require.NoError(t, err)
			declared = append(declared, code)
		}
	}
	require.NotEmpty(t, declared)
	require.ElementsMatch(t, declared, codesOf(document(t).Components.Schemas["Code"].Value))
}

func TestOpenAPIListsEveryReasonOfMedia(t *testing.T) {
	reason := document(t).Components.Schemas["Media"].Value.Properties["reason"].Value
	for _, r := range storage.MediaReasons() {
		require.Contains(t, reason.Description, "`"+r.Slug+"`")
	}
}

// TestOpenAPIGivesEachCodeItsStatus holds every refusal of the document against THE table of errors.
func TestOpenAPIGivesEachCodeItsStatus(t *testing.T) {
	listed := map[storage.Code]bool{}
	for path, item := range document(t).Paths.Map() {
		for method, op := range item.Operations() {
			for status, response := range op.Responses.Map() {
				for _, code := range refusalCodes(t, response.Value) {
					listed[code] = true
					want := strconv.Itoa(answers[code].status)
					if code == storage.CodeConflict && status == "412" {
						want = "412" // a precondition, see fromFiber
					}
					require.Equal(t, want, status, "%s %s: %s", method, path, code)
				}
			}
		}
	}
	unlisted := slices.DeleteFunc(slices.Sorted(maps.Keys(answers)), func(c storage.Code) bool { return listed[c] })
	// One is met where there is no operation, the others by operators, who have a document of their own.
	require.Equal(t, []storage.Code{
		storage.CodeMethodNotAllowed, storage.CodeMFARequired, storage.CodeReleaseChecksumMismatch,
		storage.CodeReleaseNotPublishable, storage.CodeReleasePublishedConflict,
	}, unlisted)
}

// refusalCodes are the codes that a response narrows the envelope to.
func refusalCodes(t *testing.T, r *openapi3.Response) []storage.Code {
	t.Helper()
	media := r.Content["application/json"]
	if media == nil || len(media.Schema.Value.AllOf) == 0 {
		return nil
	}
	all := media.Schema.Value.AllOf
	require.Len(t, all, 2)
	require.Equal(t, "#/components/schemas/Error", all[0].Ref)
	var out []storage.Code
	for _, code := range codesOf(all[1].Value.Properties["code"].Value) {
		out = append(out, storage.Code(code))
	}
	require.NotEmpty(t, out)
	return out
}

func codesOf(s *openapi3.Schema) []string {
	var out []string
	if s.Const != nil {
		out = append(out, s.Const.(string))
	}
	for _, v := range s.Enum {
		out = append(out, v.(string))
	}
	return out
}

// TestOpenAPIFitsTheAnswers holds the document's schemas against the structs that are marshalled.
func TestOpenAPIFitsTheAnswers(t *testing.T) {
	doc := document(t)
	now, text := time.Now().UTC(), "x"
	for schema, answer := range map[string]any{
		"Asset": assets.Asset{
			ID: "0192f6c1-5b7e-7c3a-9b1e-2f4a6c8e0d12", Category: storage.CategoryImage, Size: 1, SHA256: strings.Repeat("0", 64),
			State: storage.AssetAvailable, CreatedAt: now, UpdatedAt: now,
			Scan: assets.Scan{Status: storage.ScanClean, Signature: &text, Engine: &text, Database: &text, ScannedAt: &now},
			Media: assets.Media{Status: storage.MediaDone, Progress: 1, Error: &text,
				Variants: []assets.Variant{{Preset: "w640", MediaType: "image/webp", Width: 1, Height: 1, Size: 1}}},
		},
		"LatestUpdate": release.Latest{HasUpdate: true, MinRequiredVersion: &text, ReleaseDate: now.Format(time.RFC3339)},
		"NoUpdate":     release.NoUpdate{},
		"Error":        envelope{Error: "No.", Code: storage.CodeNotFound, RequestID: "r", Details: storage.Details{"reason": "x"}},
		"Readiness": readiness{Status: "ready", Dependencies: map[string]dependency{
			"database": {Status: "ok"}, "store": {Status: "failed", Error: "x"}, "spool": {Status: "ok"},
			"scanner": {Status: "ok", Warning: "x", Scanner: &scannerView{Engine: "x", CheckedAt: time.Now()}},
		}},
	} {
		t.Run(schema, func(t *testing.T) {
			raw, err := json.Marshal(answer)
			require.NoError(t, err)
			var v any
			require.NoError(t, json.Unmarshal(raw, &v))
			require.NoError(t, doc.Components.Schemas[schema].Value.VisitJSON(v, openapi3.EnableJSONSchema2020()))
		})
	}
}
