package httpapi

import (
	"cmp"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"gatehouse/gateway/admin/api"
	"gatehouse/gateway/auth/operator"
	"gatehouse/storage"
)

func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }

const adminIntroduction = `What operators do: see and steer tenants, files, tasks, plans, and what protects them. Operators are people with an account
of their own, and programs with a token that an operator made. Keys of tenants are worth nothing here.
docs/admin-api.md tells how to log in, step by step.

**Who you are.** A person logs in (` + "`auth/login`, `auth/verify`" + `) and has a session, in the cookie ` + "`__Host-gatehouse`" + `. Every call
but ` + "`GET`" + ` then also needs the header ` + "`X-CSRF-Token`" + `, whose value the answers of the login have, and the header ` + "`Origin`" + ` with the
address of the gateway (browsers send it by themselves). A program sends ` + "`Authorization: Bearer <operator token>`" + ` and needs neither.

**What you may do.** Each call names its least role (` + "`x-least-role`" + `): ` + "`auditor`" + ` reads, ` + "`ops`" + ` also does the daily work, ` + "`super`" + `
also what is dangerous. Where ` + "`x-step-up`" + ` is true a session must have shown a code of its second factor in the last 5 minutes
(` + "`auth/step-up`" + `), else the answer is 401 ` + "`MFA_REQUIRED`" + `; a token can never make such a call. Everything is recorded in the
audit log, under the name in ` + "`x-action`" + `: what was done, refused or failed, and what was read.

**Lists** come in pages: hand ` + "`next_cursor`" + ` back as ` + "`cursor`" + ` until it is null. ` + "`format=csv`" + ` gives the whole list at once instead, from
` + "`cursor`" + ` on if there is one, in UTF-8 with a line of names. A parameter or a field of a body that a call does not have is refused.

**When something is refused**, the answer is always the same JSON object (` + "`Error`" + `): a sentence for people, in English or, by
` + "`Accept-Language`" + `, Simplified Chinese; a stable ` + "`code`" + ` for programs; the ` + "`request_id`" + `; and the facts in ` + "`details`" + `. Where one code has
several causes, ` + "`details.reason`" + ` names the cause. Beside the refusals listed with each call, any request may meet 404
` + "`NOT_FOUND`" + ` at an address that does not exist, 405 ` + "`METHOD_NOT_ALLOWED`" + `, 411 ` + "`LENGTH_REQUIRED`" + ` for a body in chunks, and
` + "`MALFORMED_REQUEST`" + ` with 400, 408 (too slow) or 431 (headers too large).

**How things are written.** JSON with snake_case names, UTF-8. Times are RFC 3339 in UTC. Sizes are whole bytes. Ids are UUIDs. Every
answer carries ` + "`X-Request-Id`" + `; a request may bring its own. Every ` + "`GET`" + ` also answers ` + "`HEAD`" + `, without the body.
`

// adminRefusal is a refusal that calls may meet.
type adminRefusal struct {
	name   string
	status int
	codes  []storage.Code
	text   string
	// retry: the answer says when to try again.
	retry bool
	// actions are those that may meet it; none: all.
	actions []string
}

// fileRefusals are those of a call whose body is a file; they take the place of those of the same status.
var fileRefusals = []adminRefusal{
	{"UploadForbidden", http.StatusForbidden, []storage.Code{storage.CodeForbidden, storage.CodeTenantSuspended, storage.CodePlanForbids},
		"As `Forbidden`; or the platform's tenant is suspended, or its plan does not allow files of releases.", false, nil},
	{"UploadNotFound", http.StatusNotFound, []storage.Code{storage.CodeNotFound, storage.CodeReleaseArtifactNotFound}, "There is no such release.", false, nil},
	{"UploadConflict", http.StatusConflict, []storage.Code{storage.CodeConflict, storage.CodeDuplicateFile},
		"The present state does not allow it; `details.reason` says why: the release is no draft, or has such a file already.", false, nil},
	{"FileTooLarge", http.StatusRequestEntityTooLarge, []storage.Code{storage.CodeFileTooLarge}, "The file is larger than its category allows.", false, nil},
	{"TypeRefused", http.StatusUnsupportedMediaType, []storage.Code{storage.CodeExtensionNotAllowed, storage.CodeTypeNotAllowed, storage.CodeTypeMismatch},
		"The extension is none of a release's files, or the bytes are not what it says.", false, nil},
	{"FileRefused", http.StatusUnprocessableEntity, []storage.Code{storage.CodeFileEmpty, storage.CodeFilenameInvalid, storage.CodeContentUnsafe, storage.CodeDigestMismatch},
		"The file, or its name, was looked at and refused; `details.reason` says why.", false, nil},
	{"QuotaExceeded", http.StatusInsufficientStorage, []storage.Code{storage.CodeQuotaExceeded}, "The platform's tenant has no room left.", false, nil},
}

// refusalsOf are those of a call, by status.
func refusalsOf(r Route) []adminRefusal {
	var out []adminRefusal
	if r.Endpoint.File {
		out = slices.Clone(fileRefusals)
	}
	for _, a := range adminRefusals {
		meets := a.actions == nil || slices.Contains(a.actions, r.Action)
		if meets && !slices.ContainsFunc(out, func(f adminRefusal) bool { return f.status == a.status }) {
			out = append(out, a)
		}
	}
	slices.SortFunc(out, func(a, b adminRefusal) int { return a.status - b.status })
	return out
}

// adminRefusals are the refusals that each call may meet.
var adminRefusals = []adminRefusal{
	{"Malformed", http.StatusBadRequest, []storage.Code{storage.CodeMalformedRequest, storage.CodeUploadIncomplete,
		storage.CodeReleaseVersionInvalid, storage.CodeReleaseChecksumMismatch},
		"The request cannot be understood, `details.reason` says why; or its body broke off. Of releases: the version is none, or a file is not the one that was expected.", false, nil},
	{"Unauthenticated", http.StatusUnauthorized, []storage.Code{storage.CodeUnauthenticated, storage.CodeMFARequired},
		"`UNAUTHENTICATED`: no valid session or token. `MFA_REQUIRED`: a code of the second factor is needed, for the login or anew.", false, nil},
	{"Forbidden", http.StatusForbidden, []storage.Code{storage.CodeForbidden, storage.CodeReleasePermissionDenied},
		"The role, the token, the CSRF token or the address does not allow it; `details.reason` says which.", false, nil},
	{"NotFound", http.StatusNotFound, []storage.Code{storage.CodeNotFound, storage.CodeReleaseArtifactNotFound}, "There is no such thing.", false, nil},
	{"Conflict", http.StatusConflict, []storage.Code{storage.CodeConflict, storage.CodeAssetQuarantined, storage.CodeAssetDamaged, storage.CodeReleasePublishedConflict},
		"The present state does not allow it; `details.reason` says why.", false, nil},
	{"NotPublishable", http.StatusUnprocessableEntity, []storage.Code{storage.CodeReleaseNotPublishable},
		"The release cannot be given to more devices: each of `details.reasons` says in `sentence` why, and in `artifact` of which file.", false,
		[]string{"release.publish", "release.percentage", "release.resume", "release.rollback"}},
	{"FilenameInvalid", http.StatusUnprocessableEntity, []storage.Code{storage.CodeFilenameInvalid}, "No file of a release can have that name.", false,
		[]string{"release.artifact_add"}},
	{"RateLimited", http.StatusTooManyRequests, []storage.Code{storage.CodeRateLimited},
		"Too many attempts or requests; try again as `Retry-After` says.", true, nil},
	{"Internal", http.StatusInternalServerError, []storage.Code{storage.CodeInternal},
		"A fault of ours; the request id helps to find it.", false, nil},
	{"Unavailable", http.StatusServiceUnavailable, []storage.Code{storage.CodeUnavailable},
		"Something the server needs is down; try again as `Retry-After` says.", true, nil},
}

// describeAdmin makes the document of the rows.
func describeAdmin(t *testing.T, rows []Route) *yaml.Node {
	s, common := newSchemas(t), tenantDocument(t)
	paths, tags := mapping(), []*yaml.Node(nil)
	ids, tagged := operationIDs(rows), map[string]bool{}
	// Answers first: a type that is in both has its plain name there.
	answersOf := make([]*yaml.Node, len(rows))
	for i, r := range rows {
		answersOf[i] = responsesOf(s, r)
	}
	for i, r := range rows {
		item := get(paths, r.OpenAPIPath())
		if item == nil {
			item = mapping()
			put(paths, r.OpenAPIPath(), item)
		}
		put(item, strings.ToLower(r.Method), operation(s, r, ids[i], answersOf[i]))
		if tag := tagOf(r); !tagged[tag] {
			tagged[tag] = true
			tags = append(tags, flow(mapping("name", tag)))
		}
	}
	responses := mapping()
	for _, r := range slices.Concat(adminRefusals, fileRefusals) {
		put(responses, r.name, refusedWith(r.codes, r.text, r.retry))
	}
	for _, name := range []string{"Error", "Code"} {
		s.made[name] = get(common, "components", "schemas", name)
	}
	headers := mapping()
	for _, name := range []string{"X-Request-Id", "Retry-After", "Idempotent-Replayed"} {
		put(headers, name, get(common, "components", "headers", name))
	}
	parameters := mapping()
	for _, name := range fileParameters {
		put(parameters, name, get(common, "components", "parameters", name))
	}
	return mapping(
		"openapi", "3.1.0",
		"info", mapping("title", "Gatehouse: the admin API", "version", "1", "description", adminIntroduction),
		"servers", []*yaml.Node{mapping("url", "/", "description", "The gateway that served this document.")},
		"tags", tags,
		"paths", paths,
		"components", mapping(
			"securitySchemes", mapping(
				"session", mapping("type", "apiKey", "in", "cookie", "name", "__Host-gatehouse",
					"description", "The session of an operator who has logged in. Secure, HttpOnly, SameSite=Strict."),
				"csrf", mapping("type", "apiKey", "in", "header", "name", "X-CSRF-Token",
					"description", "The `csrf_token` of the login's answers. A session needs it for every call but `GET`."),
				"token", mapping("type", "http", "scheme", "bearer",
					"description", "An operator's API token, for programs. It has a role, an end, and addresses that it may come from."),
			),
			"parameters", parameters, "headers", headers, "responses", responses, "schemas", s.components(),
		),
	)
}

// below is the address below what begins those of operators.
func (r Route) below() string {
	return strings.TrimPrefix(strings.TrimPrefix(r.Path, adminPrefix), ReleasePrefix)
}

// tagOf is the subject: the first part of the address.
func tagOf(r Route) string {
	tag, _, _ := strings.Cut(r.below(), "/")
	return strings.TrimSuffix(tag, ".yaml")
}

func operation(s *schemas, r Route, id string, responses *yaml.Node) *yaml.Node {
	op := mapping("operationId", id, "tags", []string{tagOf(r)}, "summary", r.sentence(), "description", describe(r),
		"x-action", r.Action, "x-least-role", string(r.Role))
	if r.StepUp {
		put(op, "x-step-up", true)
	}
	if stages := stagesOf(r); r.Permission == Operator && !slices.Equal(stages, []string{string(operator.StageFull)}) {
		put(op, "x-stages", stages)
	}
	put(op, "security", security(r))
	put(op, "parameters", parameters(s, r))
	put(op, "requestBody", requestBody(s, r))
	put(op, "responses", responses)
	return op
}

// stagesOf are the stages of the login at which a session may make the call.
func stagesOf(r Route) []string {
	var out []string
	for _, s := range r.stages() {
		out = append(out, string(s))
	}
	return out
}

func describe(r Route) string {
	if r.Permission != Operator {
		return "The login begins here: for whoever has no session yet."
	}
	out, stages := "For every operator.", stagesOf(r)
	switch {
	case !slices.Contains(stages, string(operator.StageFull)):
		out = "Part of the login: for a session at the stage `" + strings.Join(stages, "` or `") + "`."
	case len(stages) > 1:
		out = "For every session, at the stages `" + strings.Join(stages, "`, `") + "` of the login."
	case r.Role != operator.Auditor:
		out = "For operators of the role " + strings.Join(rolesFrom(r.Role), " or ") + "."
	}
	if r.Slashed {
		out += " Also with a slash at the end of the address."
	}
	if r.StepUp {
		out += " Only for a session that has shown a code of its second factor, at most 5 minutes old (`auth/step-up`); not for tokens."
	}
	return out
}

func rolesFrom(least operator.Role) []string {
	var out []string
	for _, role := range operator.Roles {
		if role.Covers(least) {
			out = append(out, "`"+string(role)+"`")
		}
	}
	return out
}

// sessionOnly: the login and one's own sessions are for people, and so is what is dangerous.
func sessionOnly(r Route) bool {
	return r.StepUp || strings.HasPrefix(r.Path, adminPrefix+"auth/")
}

func security(r Route) *yaml.Node {
	if r.Permission != Operator {
		return flow(encoded([]string{}))
	}
	session := mapping("session", encoded([]string{}))
	if r.Method != http.MethodGet {
		put(session, "csrf", encoded([]string{}))
	}
	ways := []*yaml.Node{flow(session)}
	if !sessionOnly(r) {
		ways = append(ways, flow(mapping("token", encoded([]string{}))))
	}
	return node(ways)
}

// fileParameters are the headers of a call whose body is a file, by their names among those of the tenants' document.
var fileParameters = []string{"IdempotencyKey", "ContentDigest", "ReprDigest"}

func parameters(s *schemas, r Route) []*yaml.Node {
	var out []*yaml.Node
	if in := r.Endpoint.In; in != nil {
		for _, where := range []string{"path", "query"} {
			for _, f := range reflect.VisibleFields(in) {
				if name := f.Tag.Get(where); name != "" && !f.Anonymous {
					out = append(out, parameter(s, where, name, f))
				}
			}
		}
	}
	if r.Endpoint.File {
		for _, name := range fileParameters {
			out = append(out, ref("parameters", name))
		}
	}
	if r.Endpoint.Item != nil {
		out = append(out,
			mapping("name", "limit", "in", "query", "description", "How many items a page has.",
				"schema", flow(mapping("type", "integer", "minimum", 1, "maximum", api.MaxPage, "default", api.DefaultPage))),
			mapping("name", "cursor", "in", "query", "description", "The `next_cursor` of the page before.", "schema", flow(mapping("type", "string"))),
			mapping("name", "format", "in", "query", "description", "`csv` gives the whole list, not a page.",
				"schema", flow(mapping("type", "string", "enum", []string{"json", "csv"}, "default", "json"))))
	}
	return out
}

func parameter(s *schemas, where, name string, f reflect.StructField) *yaml.Node {
	p := mapping("name", name, "in", where)
	if where == "path" || f.Tag.Get("required") == "true" {
		put(p, "required", true)
	}
	put(p, "description", f.Tag.Get("doc"))
	schema := described(s.of(f.Type, true), "", f.Tag.Get("enum"))
	if f.Type.Kind() == reflect.Slice {
		put(p, "style", "form")
		put(p, "explode", false)
	}
	put(p, "schema", schema)
	return p
}

func requestBody(s *schemas, r Route) *yaml.Node {
	if r.Endpoint.In == nil {
		return nil
	}
	if r.Endpoint.File {
		file := mapping("type", "object", "required", encoded([]string{"file"}), "properties", mapping("file", mapping("type", "string", "format", "binary")))
		return mapping("required", true, "content", mapping("multipart/form-data", mapping("schema", file)))
	}
	fields, required := jsonFields(r.Endpoint.In, true, true), false
	if len(fields) == 0 {
		return nil
	}
	for _, f := range fields {
		required = required || f.required
	}
	return mapping("required", required, "content", mapping("application/json", mapping("schema", s.of(r.Endpoint.In, true))))
}

func responsesOf(s *schemas, r Route) *yaml.Node {
	out, e := mapping(), r.Endpoint
	headers := mapping("X-Request-Id", ref("headers", "X-Request-Id"))
	if e.File {
		put(headers, "Idempotent-Replayed", ref("headers", "Idempotent-Replayed"))
	}
	status, done := strconv.Itoa(cmp.Or(e.Status, http.StatusOK)), mapping("description", "Done.", "headers", headers)
	switch {
	case e.Media != "":
		put(done, "content", mapping(e.Media, mapping("schema", flow(mapping("type", "string")))))
	case e.Item != nil:
		put(done, "content", mapping(
			"application/json", mapping("schema", s.of(e.Out, false)),
			"text/csv", mapping("schema", flow(mapping("type", "string")))))
	case e.Out == nil || e.Out == typeOf[api.Nothing]():
		status = "204"
	default:
		put(done, "content", mapping("application/json", mapping("schema", s.of(e.Out, false))))
	}
	quoted := func(code string) *yaml.Node {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: code, Style: yaml.SingleQuotedStyle}
	}
	out.Content = append(out.Content, quoted(status), done)
	for _, refused := range refusalsOf(r) {
		out.Content = append(out.Content, quoted(strconv.Itoa(refused.status)), ref("responses", refused.name))
	}
	return out
}

func refusedWith(codes []storage.Code, text string, retry bool) *yaml.Node {
	headers := mapping("X-Request-Id", ref("headers", "X-Request-Id"))
	if retry {
		put(headers, "Retry-After", ref("headers", "Retry-After"))
	}
	var names []string
	for _, c := range codes {
		names = append(names, string(c))
	}
	return mapping("description", text, "headers", headers, "content", mapping("application/json", mapping("schema",
		mapping("allOf", []*yaml.Node{
			ref("schemas", "Error"),
			flow(mapping("properties", mapping("code", mapping("enum", names)))),
		}))))
}

// operationIDs are the actions as names: plan.list is planList. Rows that share an action have their method in it too, and their
// address where that is not enough. Those of the login are named by their address.
func operationIDs(rows []Route) []string {
	more := []func(Route) string{
		func(Route) string { return "" },
		func(r Route) string { return "." + strings.ToLower(r.Method) },
		func(r Route) string { return "." + strings.ToLower(r.Method) + "." + r.address() },
	}
	out := make([]string, len(rows))
	for _, suffix := range more {
		names, count := make([]string, len(rows)), map[string]int{}
		for i, r := range rows {
			base := r.Action
			if tagOf(r) == "auth" {
				base = strings.TrimSuffix(r.address(), ".id")
			}
			names[i] = camel(base + suffix(r))
			count[names[i]]++
		}
		for i := range rows {
			if out[i] == "" && count[names[i]] == 1 {
				out[i] = names[i]
			}
		}
	}
	return out
}

func camel(name string) string {
	words := strings.FieldsFunc(name, func(r rune) bool { return r == '.' || r == '_' })
	for i := range words[1:] {
		words[i+1] = title(words[i+1])
	}
	return strings.Join(words, "")
}
