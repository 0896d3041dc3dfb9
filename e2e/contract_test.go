package e2e

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/e2e/contract"
	"gatehouse/e2e/rig"
)

// absent is the id of no asset.
const absent = "0192f6c1-5b7e-7c3a-9b1e-2f4a6c8e0d12"

// notCaused are answers of the document that this test cannot bring about from outside: faults, keys with fewer
// scopes and suspended tenants (which the command line cannot make), a blob that is scanned again behind a link.
var notCaused = regexp.MustCompile(` (500|503)$|^(GET|DELETE) .* 40[03]$|/links 403$|^GET /d/.* (409|410)$|^GET /metrics 404$`)

// TestEveryEndpointKeepsTheContract brings about every answer that the OpenAPI document lists, and holds each against it.
func TestEveryEndpointKeepsTheContract(t *testing.T) {
	eachMode(t, rig.Options{Workers: rig.NoWorkers, Env: map[string]string{
		"GATEHOUSE_PLANS_FREE_STORAGE_BYTES":            "1048576",
		"GATEHOUSE_PLANS_FREE_CATEGORIES":               "document",
		"GATEHOUSE_PLANS_ENTERPRISE_UPLOADS_PER_MINUTE": "1",
	}}, func(t *testing.T, r *rig.Rig) {
		met := &meetings{inner: contract.Validator(t), seen: map[string]bool{}}
		c, small := r.Tenant("acme", "pro"), r.Tenant("small", "free")
		slow := r.Tenant("slow", "enterprise")
		for _, client := range []*rig.Client{c, small, slow} {
			client.HTTP = &http.Client{Transport: met}
		}
		x := caller{t, c}

		x.strangers()
		x.account()
		x.uploads(small)
		caller{t, slow}.hurries()
		x.checks(small)
		x.reading(r)
		d := newDesk(t, r, r.URLs[0])
		x.releases(d)
		caller{t, small}.devices(d.o)
		met.requireAll(t)
	})
}

// caller makes requests and looks at their status; the rest is the validator's.
type caller struct {
	t *testing.T
	c *rig.Client
}

// want makes a request with the headers name, value, name, value ..., and returns the body.
func (x caller) want(status int, method, path string, body io.Reader, headers ...string) []byte {
	x.t.Helper()
	req, err := http.NewRequestWithContext(x.t.Context(), method, x.c.URL+path, body)
	require.NoError(x.t, err)
	if x.c.Key != "" {
		req.Header.Set("Authorization", "Bearer "+x.c.Key)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := x.c.HTTP.Do(req)
	require.NoError(x.t, err)
	raw, err := io.ReadAll(resp.Body)
	require.NoError(x.t, err)
	require.NoError(x.t, resp.Body.Close())
	require.Equal(x.t, status, resp.StatusCode, "%s %s: %s", method, path, raw)
	return raw
}

func (x caller) get(status int, path string, headers ...string) {
	x.t.Helper()
	x.want(status, http.MethodGet, path, nil, headers...)
}

func (x caller) post(status int, path, body string) {
	x.t.Helper()
	x.want(status, http.MethodPost, path, strings.NewReader(body), "Content-Type", "application/json")
}

// chunked sends a body of unknown length.
func (x caller) chunked(path, kind string) {
	x.t.Helper()
	x.want(http.StatusLengthRequired, http.MethodPost, path, struct{ io.Reader }{strings.NewReader("{}")}, "Content-Type", kind)
}

// refused uploads a file and looks at the refusal's status.
func (x caller) refused(status int, name string, content []byte, headers ...string) {
	x.t.Helper()
	_, err := x.c.Upload(name, content, headers...)
	refusal, ok := err.(*rig.Refusal) //nolint:errorlint // the client returns it bare
	require.True(x.t, ok, "%s: %v", name, err)
	require.Equal(x.t, status, refusal.Status, "%s: %v", name, err)
}

// strangers asks for everything without a key, and for assets that are not there with one.
func (x caller) strangers() {
	nobody := caller{x.t, &rig.Client{T: x.t, URL: x.c.URL, HTTP: x.c.HTTP}}
	one := "/api/v1/assets/" + absent
	for _, path := range []string{"/api/v1/assets", "/api/v1/policy", "/api/v1/usage"} {
		nobody.get(401, path)
	}
	nobody.refused(401, "a.txt", []byte("hello"))
	nobody.post(401, "/api/v1/assets/check", `{}`)
	for who, status := range map[caller]int{nobody: 401, x: 404} {
		for _, path := range []string{one, one + "/content", one + "/variants/w640", one + "/events"} {
			who.get(status, path)
		}
		who.want(status, http.MethodDelete, one, nil)
		who.post(status, one+"/links", `{}`)
	}
	x.get(404, "/d/nonsense")
	x.get(404, "/nowhere")
	x.want(405, http.MethodPut, one, nil)
}

func (x caller) account() {
	for _, path := range []string{"/api/v1/policy", "/api/v1/usage", "/healthz", "/readyz", "/metrics", "/openapi.yaml"} {
		x.get(200, path)
		x.want(200, http.MethodHead, path, nil)
	}
}

// uploads sends good and bad files; small is a tenant with little room and documents only.
func (x caller) uploads(small *rig.Client) {
	const path = "/api/v1/assets"
	note := text(x.t, 1000)
	_, err := x.c.Upload("a.txt", note, "Idempotency-Key", "one")
	require.NoError(x.t, err)
	again, err := x.c.Upload("b.txt", note)
	require.NoError(x.t, err)
	require.True(x.t, again.Duplicate)

	x.post(400, path, `{}`)
	x.chunked(path, "multipart/form-data; boundary=x")
	x.refused(409, "c.txt", text(x.t, 1000), "Idempotency-Key", "one")
	x.refused(413, "big.jpg", make([]byte, 6<<20))
	x.refused(415, "setup.exe", []byte("MZ"))
	x.refused(415, "photo.png", photo(x.t, 8, 8))
	x.refused(422, "empty.txt", nil)
	x.refused(422, "a.exe.txt", []byte("x"))
	x.refused(422, "photo.jpg", photo(x.t, 64, 48)[:400])
	caller{x.t, small}.refused(403, "photo.jpg", photo(x.t, 8, 8))
	caller{x.t, small}.refused(507, "notes.txt", text(x.t, 2<<20))

	x.get(200, path+"?limit=1")
	x.get(200, path+"?state=quarantined&category=document&q=txt")
	x.get(400, path+"?cursor=nonsense")
}

// hurries sends more than its plan allows in a minute; the first of three may be the last of the minute before.
func (x caller) hurries() {
	for range 2 {
		if _, err := x.c.Upload("a.txt", text(x.t, 10)); err != nil {
			require.Equal(x.t, "RATE_LIMITED", rig.CodeOf(err))
			return
		}
	}
	x.refused(429, "a.txt", text(x.t, 10))
}

// checks asks in advance.
func (x caller) checks(small *rig.Client) {
	const path = "/api/v1/assets/check"
	file := func(name string, size int) string { return fmt.Sprintf(`{"name": %q, "size": %d}`, name, size) }
	x.post(200, path, file("a.txt", 1000))
	x.post(400, path, `{"nothing": 1}`)
	x.chunked(path, "application/json")
	x.post(413, path, file("big.jpg", 6<<20))
	x.post(415, path, file("setup.exe", 2))
	x.post(422, path, file("a.exe.txt", 1))
	caller{x.t, small}.post(403, path, file("photo.jpg", 1))
	caller{x.t, small}.post(507, path, file("notes.txt", 2<<20))
}

// reading follows a picture and malware through their lives.
func (x caller) reading(r *rig.Rig) {
	picture, err := x.c.Upload("photo.jpg", photo(x.t, 640, 480))
	require.NoError(x.t, err)
	malware, err := x.c.Upload("eicar.txt", []byte(eicar))
	require.NoError(x.t, err)
	one, bad := "/api/v1/assets/"+picture.ID, "/api/v1/assets/"+malware.ID
	x.unreadable(409, one)

	r.AddWorker()
	x.c.Await(malware.ID, patience, rig.Ready)
	x.unreadable(410, bad)
	x.c.Await(picture.ID, patience, rig.Ready)
	x.get(200, one)
	x.get(200, bad)
	x.get(200, one+"/events")
	x.get(204, one+"/events", "Last-Event-ID", "1000000")
	x.get(404, one+"/variants/w999")

	var link struct {
		URL string `json:"url"`
	}
	require.NoError(x.t, x.c.Post(one+"/links", map[string]any{"variant": "w320", "expires_in": 60}, &link))
	x.post(201, one+"/links", `{}`)
	x.post(400, one+"/links", `{"expires_in": -1}`)
	x.chunked(one+"/links", "application/json")
	for _, path := range []string{one + "/content", one + "/variants/w320", link.URL} {
		x.get(200, path)
		x.want(200, http.MethodHead, path, nil)
		x.get(206, path, "Range", "bytes=0-9")
		x.get(206, path, "Range", "bytes=0-9, 20-29")
		x.get(304, path, "If-None-Match", "*")
		x.get(412, path, "If-Match", `"another"`)
		x.get(416, path, "Range", "bytes=10000000-")
	}
	x.want(204, http.MethodDelete, one, nil)
	x.get(404, link.URL)
}

func (x caller) unreadable(status int, asset string) {
	x.t.Helper()
	x.get(status, asset+"/content")
	x.get(status, asset+"/variants/w320")
	x.post(status, asset+"/links", `{}`)
}

// meetings remembers which answers were met.
type meetings struct {
	inner http.RoundTripper
	seen  map[string]bool
}

// RoundTrip notes the status.
func (m *meetings) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := m.inner.RoundTrip(req)
	if err == nil {
		m.seen[fmt.Sprintf("%s %s %d", req.Method, req.URL.Path, resp.StatusCode)] = true
	}
	return resp, err
}

// requireAll holds what was met against what the document lists.
func (m *meetings) requireAll(t *testing.T) {
	t.Helper()
	doc, err := contract.Document(t.Context())
	require.NoError(t, err)
	var seen bytes.Buffer
	for _, line := range slices.Sorted(maps.Keys(m.seen)) {
		fmt.Fprintln(&seen, line)
	}
	parameter := regexp.MustCompile(`\\\{\w+\\\}`)
	for path, item := range doc.Paths.Map() {
		for method, operation := range item.Operations() {
			for status := range operation.Responses.Map() {
				answer := method + " " + path + " " + status
				pattern := "(?m)^" + parameter.ReplaceAllString(regexp.QuoteMeta(answer), "[^/]+") + "$"
				if !notCaused.MatchString(answer) && !regexp.MustCompile(pattern).Match(seen.Bytes()) {
					t.Errorf("never met: %s", answer)
				}
			}
		}
	}
}
