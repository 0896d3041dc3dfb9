package contract

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// listener is a T that remembers what it was told.
type listener struct{ said []string }

func (l *listener) Helper()                   {}
func (l *listener) Fatal(args ...any)         { panic(fmt.Sprint(args...)) }
func (l *listener) Errorf(f string, a ...any) { l.said = append(l.said, fmt.Sprintf(f, a...)) }
func (l *listener) heard(part string) bool    { return strings.Contains(strings.Join(l.said, "\n"), part) }

const (
	assetID = "0192f6c1-5b7e-7c3a-9b1e-2f4a6c8e0d12"
	asset   = `{"id":"0192f6c1-5b7e-7c3a-9b1e-2f4a6c8e0d12","name":"a.txt","category":"document","media_type":"text/plain","size":3,
		"sha256":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","state":"quarantined",
		"scan":{"status":"pending","signature":null,"engine":null,"database":null,"scanned_at":null},
		"media":{"status":"none","progress":0,"error":null,"reason":null,"width":null,"height":null,"dominant_color":null,
		"thumbhash":null,"duration":null,"fps":null,"video_codec":null,"audio_codec":null,"variants":[]},
		"damage":null,"duplicate":false,"created_at":"2026-11-21T09:30:00Z","updated_at":"2026-11-21T09:30:00Z"}`
	one  = "/api/v1/assets/" + assetID
	plan = `{"name":"pro","storage_bytes":1,"spec":{},"tenants":0,"updated_at":"2026-11-21T09:30:00Z"}`
)

func refusal(code string) string {
	return `{"error":"No.","code":"` + code + `","request_id":"r1"}`
}

func TestResponsesAgainstTheDocument(t *testing.T) {
	flat := strings.NewReplacer("\n", "", "\t", "").Replace(asset)
	stream := "id: 1\nevent: accepted\ndata: {\"data\":{},\"at\":\"2026-11-21T09:30:00Z\",\"asset\":" + flat + "}\n\n" +
		": still here\n\nid: 1\nevent: end\ndata: {\"data\":{},\"asset\":null}\n\n"
	for _, c := range []struct {
		name, method, path string
		status             int
		kind, body         string
		header             http.Header
		complaint          string // empty: none
	}{
		{name: "an asset", path: one, status: 200, kind: "application/json", body: asset},
		{name: "an asset with an unknown field", path: one, status: 200, kind: "application/json",
			body: strings.Replace(asset, `"name"`, `"owner":"x","name"`, 1), complaint: "owner"},
		{name: "an asset without its scan", path: one, status: 200, kind: "application/json",
			body: strings.Replace(asset, `"scan"`, `"scam"`, 1), complaint: "scan"},
		{name: "no request id", path: one, status: 200, kind: "application/json", body: asset,
			header: http.Header{"X-Request-Id": nil}, complaint: "X-Request-Id"},
		{name: "a status that is not listed", path: one, status: 418, kind: "application/json", body: "{}", complaint: "status is not supported"},
		{name: "another media type", path: one, status: 200, kind: "text/html", body: "<p>", complaint: "Content-Type"},
		{name: "a refusal", path: one, status: 404, kind: "application/json", body: refusal("NOT_FOUND")},
		{name: "a refusal with another call's code", path: one, status: 404, kind: "application/json",
			body: refusal("FILE_EMPTY"), complaint: "code"},
		{name: "a code that does not exist", method: "POST", path: "/api/v1/assets", status: 422, kind: "application/json",
			body: refusal("FILE_BAD"), complaint: "code"},
		{name: "an upload", method: "POST", path: "/api/v1/assets", status: 202, kind: "application/json", body: asset,
			header: http.Header{"Location": {one}}},
		{name: "an upload without a location", method: "POST", path: "/api/v1/assets", status: 202, kind: "application/json",
			body: asset, complaint: "Location"},
		{name: "bytes", path: one + "/content", status: 200, kind: "image/png", body: "\x89PNG", header: bytesHeader()},
		{name: "bytes without an ETag", path: one + "/content", status: 200, kind: "image/png", body: "\x89PNG",
			header: with(bytesHeader(), "ETag", ""), complaint: "ETag"},
		{name: "bytes that a browser may sniff", path: one + "/content", status: 206, kind: "image/png", body: "\x89PNG",
			header: with(bytesHeader(), "X-Content-Type-Options", "sniff"), complaint: "X-Content-Type-Options"},
		{name: "HEAD", method: "HEAD", path: one + "/content", status: 200, kind: "image/png", header: bytesHeader()},
		{name: "deleted", method: "DELETE", path: one, status: 204},
		{name: "too late", path: one, status: 408, kind: "application/json", body: refusal("MALFORMED_REQUEST")},
		{name: "nowhere", path: "/nowhere", status: 404, kind: "application/json", body: refusal("NOT_FOUND")},
		{name: "HEAD nowhere", method: "HEAD", path: "/nowhere", status: 404, kind: "application/json"},
		{name: "nowhere in plain text", path: "/nowhere", status: 404, kind: "text/plain", body: "no", complaint: "not JSON"},
		{name: "an endpoint that nobody wrote down", path: "/nowhere", status: 200, kind: "text/plain", body: "hi", complaint: "not in the document"},
		{name: "a method that is not there", method: "PUT", path: one, status: 405, kind: "application/json", body: refusal("METHOD_NOT_ALLOWED")},
		{name: "metrics", path: "/metrics", status: 200, kind: "text/plain; version=0.0.4; charset=utf-8", body: "up 1\n"},
		{name: "events", path: one + "/events", status: 200, kind: "text/event-stream", body: stream},
		{name: "an event of another kind", path: one + "/events", status: 200, kind: "text/event-stream",
			body: strings.Replace(stream, "accepted", "eaten", 1), complaint: "eaten"},
		{name: "an event without data", path: one + "/events", status: 200, kind: "text/event-stream",
			body: "id: 1\nevent: accepted\n\n", complaint: "other fields"},
		{name: "an event of another shape", path: one + "/events", status: 200, kind: "text/event-stream",
			body: strings.Replace(stream, `"state"`, `"stage"`, 1), complaint: "AssetEvent"},
		{name: "events after the end", path: one + "/events", status: 200, kind: "text/event-stream", body: stream + stream, complaint: "after the end"},
		{name: "a plan", path: "/api/admin/plans/pro", status: 200, kind: "application/json", body: plan},
		{name: "a plan with an unknown field", path: "/api/admin/plans/pro", status: 200, kind: "application/json",
			body: strings.Replace(plan, `"name"`, `"price":1,"name"`, 1), complaint: "price"},
		{name: "a page of plans", path: "/api/admin/plans", status: 200, kind: "application/json", body: `{"items":[` + plan + `],"next_cursor":null}`},
		{name: "no page of plans", path: "/api/admin/plans", status: 200, kind: "application/json", body: `{"items":null,"next_cursor":null}`, complaint: "items"},
		{name: "plans as CSV", path: "/api/admin/plans?format=csv", status: 200, kind: "text/csv; charset=utf-8; header=present", body: "name\n"},
		{name: "a plan as CSV", path: "/api/admin/plans/pro", status: 200, kind: "text/csv", body: "name\n", complaint: "Content-Type"},
		{name: "a step-up is needed", method: "DELETE", path: "/api/admin/plans/pro", status: 401, kind: "application/json", body: refusal("MFA_REQUIRED")},
		{name: "nowhere of operators", path: "/api/admin/nowhere", status: 404, kind: "application/json", body: refusal("NOT_FOUND")},
		{name: "an admin call that is not in the table", path: "/api/admin/nowhere", status: 200, kind: "application/json", body: "{}", complaint: "not in the document"},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				h := w.Header()
				h.Set("X-Request-Id", "r1")
				h.Set("Cache-Control", "no-store")
				if c.kind != "" {
					h.Set("Content-Type", c.kind)
				}
				for name, values := range c.header {
					h.Del(name)
					for _, v := range values {
						h.Set(name, v)
					}
				}
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			}))
			defer server.Close()
			heard := &listener{}
			client := &http.Client{Transport: Around(heard, http.DefaultTransport)}
			method := c.method
			if method == "" {
				method = http.MethodGet
			}
			req, err := http.NewRequestWithContext(t.Context(), method, server.URL+c.path, nil)
			require.NoError(t, err)
			resp, err := client.Do(req)
			require.NoError(t, err)
			got, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			if method != http.MethodHead {
				require.Equal(t, c.body, string(got), "the body is handed on unchanged")
			}
			if c.complaint == "" {
				require.Empty(t, heard.said)
				return
			}
			require.True(t, heard.heard(c.complaint), "complained: %q", heard.said)
		})
	}
}

func bytesHeader() http.Header {
	return http.Header{
		"Etag": {`"ba78"`}, "Accept-Ranges": {"bytes"}, "Content-Disposition": {`inline; filename="a.png"`},
		"X-Content-Type-Options": {"nosniff"}, "Content-Security-Policy": {"sandbox"},
	}
}

// with changes one header; an empty value takes it away.
func with(h http.Header, name, value string) http.Header {
	h.Del(name)
	if value != "" {
		h.Set(name, value)
	}
	return h
}
