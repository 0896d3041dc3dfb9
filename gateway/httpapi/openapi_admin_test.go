package httpapi

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"gatehouse/gateway/admin/api"
	"gatehouse/gateway/auth/operator"
)

var update = flag.Bool("update", false, "write the golden files anew")

// adminTable is the table of operators' rows; nobody calls them.
func adminTable() []Route { return AdminRoutes(&api.API{}) }

// TestAdminDocument holds the document against the table of rows and the types of their endpoints.
func TestAdminDocument(t *testing.T) {
	var got bytes.Buffer
	got.WriteString("# Made from the route table by: go test ./gateway/httpapi -run AdminDocument -update\n")
	enc := yaml.NewEncoder(&got)
	enc.SetIndent(2)
	require.NoError(t, enc.Encode(describeAdmin(t, adminTable())))
	require.NoError(t, enc.Close())

	loader := openapi3.NewLoader()
	loader.Context = t.Context()
	doc, err := loader.LoadFromData(got.Bytes())
	require.NoError(t, err)
	require.NoError(t, doc.Validate(t.Context()))

	const file = "openapi_admin.yaml"
	if *update {
		require.NoError(t, os.WriteFile(file, got.Bytes(), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), got.String(), "write it anew with: go test ./gateway/httpapi -run AdminDocument -update")
}

func TestEveryCallOfOperatorsHasASentence(t *testing.T) {
	for _, r := range adminTable() {
		require.NotEmpty(t, r.sentence(), "%s %s: %s has no sentence in actions.go", r.Method, r.Path, r.Action)
	}
	for name, sentence := range sentences {
		require.Regexp(t, `^[a-z_]+(\.[a-z_]+)+$`, name)
		require.Regexp(t, `^[A-Z].*[^.]$`, sentence, name)
	}
}

func TestRefusalsOfTheAdminDocumentHaveTheirStatus(t *testing.T) {
	for _, r := range slices.Concat(adminRefusals, fileRefusals) {
		for _, code := range r.codes {
			require.Equal(t, r.status, answers[code].status, code)
		}
	}
}

// TestAdminDocumentTellsWhatACallMeets: nobody has to write code for an answer that cannot come, or miss a header that is read.
func TestAdminDocumentTellsWhatACallMeets(t *testing.T) {
	doc := encodeDocument(t, describeAdmin(t, adminTable()))
	meets := map[string][]string{}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			if r := op.Responses.Value("422"); r != nil {
				name := r.Ref[strings.LastIndex(r.Ref, "/")+1:]
				meets[name] = append(meets[name], method+" "+strings.TrimPrefix(path, "/api/admin/client-releases/{id}"))
			}
		}
	}
	for name, want := range map[string][]string{
		"NotPublishable":  {"POST /publish", "PUT /percentage", "POST /resume", "POST /rollback"},
		"FilenameInvalid": {"POST /artifacts"},
		"FileRefused":     {"POST /artifacts/upload"},
	} {
		require.ElementsMatch(t, want, meets[name], name)
	}
	require.Len(t, meets, 3)
	var headers []string
	upload := doc.Paths.Find("/api/admin/client-releases/{id}/artifacts/upload").Post
	for _, p := range upload.Parameters {
		if p.Value.In == "header" {
			headers = append(headers, p.Value.Name)
		}
	}
	require.ElementsMatch(t, []string{"Idempotency-Key", "Content-Digest", "Repr-Digest"}, headers)
	require.Contains(t, upload.Responses.Value("201").Value.Headers, "Idempotent-Replayed")
}

// TestAdminDocumentTellsWhoMayCall reads from the document what the guard of a row will ask for.
func TestAdminDocumentTellsWhoMayCall(t *testing.T) {
	none := api.Endpoint{}
	rows := []Route{
		{Method: "POST", Path: "/api/admin/auth/login", Permission: OperatorLogin, Endpoint: none},
		row("GET", "plans", operator.Auditor, "plan.list", none),
		row("PATCH", "plans", operator.Ops, "plan.set", none),
		steppedUp(row("DELETE", "plans", operator.Super, "plan.remove", none)),
	}
	staged := row("POST", "auth/verify", operator.Auditor, "auth.verify", none)
	staged.Stages = []operator.Stage{operator.StageVerify}
	doc := encodeDocument(t, describeAdmin(t, append(rows, staged)))
	for path, want := range map[string]string{
		"POST /api/admin/auth/login":  `[]`,
		"GET /api/admin/plans":        `[{"session":[]},{"token":[]}]`,
		"PATCH /api/admin/plans":      `[{"csrf":[],"session":[]},{"token":[]}]`,
		"DELETE /api/admin/plans":     `[{"csrf":[],"session":[]}]`,
		"POST /api/admin/auth/verify": `[{"csrf":[],"session":[]}]`,
	} {
		method, path, _ := strings.Cut(path, " ")
		security, err := json.Marshal(doc.Paths.Find(path).GetOperation(method).Security)
		require.NoError(t, err)
		require.JSONEq(t, want, string(security), path)
	}
	remove := doc.Paths.Find("/api/admin/plans").Delete
	require.Equal(t, "super", remove.Extensions["x-least-role"])
	require.Equal(t, true, remove.Extensions["x-step-up"])
	require.Contains(t, remove.Description, "at most 5 minutes old")
}

func encodeDocument(t *testing.T, n *yaml.Node) *openapi3.T {
	t.Helper()
	raw, err := yaml.Marshal(n)
	require.NoError(t, err)
	doc, err := openapi3.NewLoader().LoadFromData(raw)
	require.NoError(t, err, "%s", raw)
	return doc
}

// The shapes that a schema may have to be made of.
type (
	inner struct {
		Of   *inner           `json:"of"`
		Rows map[string]int64 `json:"rows"`
	}
	Shared struct {
		ID string `json:"id" doc:"Whose it is."`
	}
	outerView struct {
		Shared
		State operator.Role   `json:"state"`
		Least *operator.Role  `json:"least"`
		At    *time.Time      `json:"at,omitempty"`
		Raw   json.RawMessage `json:"raw"`
		Kinds []string        `json:"kinds" enum:"a,b" doc:"Which."`
		One   inner           `json:"one" doc:"The one."`
		Gone  string          `json:"-"`
	}
	question struct {
		Shared
		Name  string    `path:"name" json:"-"`
		Since time.Time `query:"since" json:"-"`
		Kinds []string  `query:"kind" json:"-" enum:"a,b"`
		Like  string    `json:"like" required:"true"`
	}
)

func TestSchemasAreWhatJSONIs(t *testing.T) {
	s := newSchemas(t)
	require.Equal(t, "#/components/schemas/OuterPage", get(s.of(typeOf[api.PageOf[outerView]](), false), "$ref").Value)
	s.of(typeOf[outerView](), true)
	doc := encodeDocument(t, mapping("openapi", "3.1.0", "info", mapping("title", "x", "version", "1"), "paths", mapping(),
		"components", mapping("schemas", s.components())))
	require.NoError(t, doc.Validate(t.Context()))
	require.ElementsMatch(t, []string{"Outer", "OuterPage", "OuterInput", "Inner", "InnerInput", anything}, keys(doc.Components.Schemas))
	require.Empty(t, doc.Components.Schemas["OuterInput"].Value.Required)
	fits := func(raw string) error {
		var v any
		require.NoError(t, json.Unmarshal([]byte(raw), &v))
		return doc.Components.Schemas["Outer"].Value.VisitJSON(v, openapi3.EnableJSONSchema2020())
	}
	now, role := time.Now().UTC(), operator.Ops
	for _, v := range []outerView{
		{State: role, Kinds: []string{"a"}, One: inner{Rows: map[string]int64{}}},
		{State: role, Least: &role, At: &now, Raw: json.RawMessage(`{"x":1}`), Kinds: []string{}, One: inner{Rows: map[string]int64{"a": 1}, Of: &inner{Rows: map[string]int64{}}}},
	} {
		raw, err := json.Marshal(v)
		require.NoError(t, err)
		require.NoError(t, fits(string(raw)), "%s", raw)
	}
	const good = `{"id":"","state":"ops","least":null,"raw":null,"kinds":[],"one":{"of":null,"rows":{}}}`
	require.NoError(t, fits(good))
	for _, change := range [][2]string{
		{`"id":"",`, ``}, {`"ops"`, `"root"`}, {`"least":null`, `"least":"root"`}, {`[]`, `null`}, {`[]`, `["c"]`}, {`"id"`, `"gone":"","id"`},
		{`"of":null`, `"of":{}`}, {`"rows":{}`, `"rows":{"a":"b"}`},
	} {
		require.Error(t, fits(strings.Replace(good, change[0], change[1], 1)), change)
	}
}

func TestInputsAreParametersAndABody(t *testing.T) {
	e := api.Endpoint{In: typeOf[question](), Out: typeOf[api.Nothing]()}
	doc := encodeDocument(t, describeAdmin(t, []Route{row("POST", "plans/:name", operator.Ops, "plan.set", e)}))
	op := doc.Paths.Find("/api/admin/plans/{name}").Post
	require.Equal(t, "planSet", op.OperationID)
	var names []string
	for _, p := range op.Parameters {
		names = append(names, p.Value.In+" "+p.Value.Name+" "+strconv.FormatBool(p.Value.Required))
	}
	require.Equal(t, []string{"path name true", "query since false", "query kind false"}, names)
	body := op.RequestBody.Value
	require.True(t, body.Required)
	schema := body.Content["application/json"].Schema.Value
	require.ElementsMatch(t, []string{"id", "like"}, keys(schema.Properties))
	require.Equal(t, []string{"like"}, schema.Required)
	require.NotNil(t, op.Responses.Value("204"))
	require.Nil(t, op.Responses.Value("200"))
}

func keys[V any](m map[string]V) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	return out
}

// TestOperationIDs: names are what programs call the operations, so they are words and unique.
func TestOperationIDs(t *testing.T) {
	var all []string
	for _, op := range operationIDs(adminTable()) {
		require.Regexp(t, regexp.MustCompile(`^[a-z]+([A-Z][a-z]*|[0-9]+)*$`), op)
		require.False(t, slices.Contains(all, op), op)
		all = append(all, op)
	}
	route := func(method, path, action string) Route {
		return Route{Method: method, Path: adminPrefix + path, Action: action}
	}
	require.Equal(t, []string{"planList", "taskSetPost", "taskSetPatch", "assetRetryPostAssetsRetry", "assetRetryPostAssetsIdRetry", "authStepUp"}, operationIDs([]Route{
		route("GET", "plans", "plan.list"), route("POST", "tasks", "task.set"), route("PATCH", "tasks", "task.set"),
		route("POST", "assets/retry", "asset.retry"), route("POST", "assets/:id/retry", "asset.retry"), route("POST", "auth/step-up", "operator.step_up"),
	}))
}
