package contract

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"gatehouse/gateway/httpapi"
)

// T is what a test is told by: a testing.TB.
type T interface {
	Helper()
	Fatal(args ...any)
	Errorf(format string, args ...any)
}

// Validator is a transport of its own that checks every response. Its connections end with the process.
func Validator(t T) http.RoundTripper {
	t.Helper()
	return Around(t, http.DefaultTransport.(*http.Transport).Clone())
}

// Around checks every response that comes through inner.
func Around(t T, inner http.RoundTripper) http.RoundTripper {
	t.Helper()
	tenant, err := tenantContract()
	if err != nil {
		t.Fatal(err)
	}
	admin, err := adminContract()
	if err != nil {
		t.Fatal(err)
	}
	return &transport{t: t, inner: inner, tenant: tenant, admin: admin}
}

// The documents take long to validate, and tests make many clients.
var (
	tenantContract = sync.OnceValues(func() (contract, error) { return contractOf(Document) })
	adminContract  = sync.OnceValues(func() (contract, error) { return contractOf(AdminDocument) })
)

func contractOf(document func(context.Context) (*openapi3.T, error)) (contract, error) {
	doc, err := document(context.Background())
	if err != nil {
		return contract{}, err
	}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		return contract{}, fmt.Errorf("routes of the OpenAPI document: %w", err)
	}
	return contract{doc, router}, nil
}

// Document is the OpenAPI document of all that is not for operators, loaded and found valid.
func Document(ctx context.Context) (*openapi3.T, error) { return load(ctx, httpapi.OpenAPI) }

// AdminDocument is the OpenAPI document of the admin API, loaded and found valid.
func AdminDocument(ctx context.Context) (*openapi3.T, error) { return load(ctx, httpapi.AdminOpenAPI) }

func load(ctx context.Context, document []byte) (*openapi3.T, error) {
	loader := openapi3.NewLoader()
	loader.Context = ctx
	doc, err := loader.LoadFromData(document)
	if err != nil {
		return nil, fmt.Errorf("read the OpenAPI document: %w", err)
	}
	if err := doc.Validate(ctx); err != nil {
		return nil, fmt.Errorf("validate the OpenAPI document: %w", err)
	}
	return doc, nil
}

type transport struct {
	t             T
	inner         http.RoundTripper
	tenant, admin contract
}

// contract is a document, and where its calls are in it.
type contract struct {
	doc    *openapi3.T
	router routers.Router
}

// adminPrefix and metricsPrefix begin the addresses that the admin document is for.
const (
	adminPrefix   = "/api/admin/"
	metricsPrefix = httpapi.ReleasePrefix + "metrics/"
)

// of is the contract that an address is under.
func (x *transport) of(path string) contract {
	if strings.HasPrefix(path, adminPrefix) || strings.HasPrefix(path, metricsPrefix) {
		return x.admin
	}
	return x.tenant
}

// RoundTrip sends the request and checks what comes back.
func (x *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := x.inner.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if err := x.check(req, resp); err != nil {
		x.t.Helper()
		x.t.Errorf("contract: %s %s answered %d: %v", req.Method, req.URL.Path, resp.StatusCode, err)
	}
	return resp, nil
}

func (x *transport) check(req *http.Request, resp *http.Response) error {
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil && resp.Header.Get("Content-Type") != "" {
		return fmt.Errorf("Content-Type: %w", err)
	}
	under := x.of(req.URL.Path)
	var body []byte
	switch kind {
	case "application/json":
		if body, err = keepBody(resp); err != nil {
			return err
		}
	case "text/event-stream":
		resp.Body = x.watch(req.URL.Path, resp.Body)
	}
	if refusedBeforeRouting(resp.StatusCode) {
		return under.isRefusal(req, body)
	}
	route, params, err := under.find(req)
	if errors.Is(err, routers.ErrPathNotFound) || errors.Is(err, routers.ErrMethodNotAllowed) {
		if !slices.Contains([]int{http.StatusNotFound, http.StatusMethodNotAllowed}, resp.StatusCode) {
			return fmt.Errorf("not in the document: %w", err)
		}
		return under.isRefusal(req, body)
	}
	if err != nil {
		return fmt.Errorf("find in the document: %w", err)
	}
	return openapi3filter.ValidateResponse(req.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route},
		Status:                 resp.StatusCode,
		Header:                 resp.Header,
		Body:                   io.NopCloser(bytes.NewReader(body)),
		Options: &openapi3filter.Options{
			IncludeResponseStatus: true,
			// Only JSON was read; the rest is bytes, or a stream that is checked as it flows.
			ExcludeResponseBody: kind != "application/json" && isListed(route, resp.StatusCode, kind),
		},
	})
}

// refusedBeforeRouting are the statuses that any call may meet, as the document's introduction says.
func refusedBeforeRouting(status int) bool {
	return slices.Contains([]int{
		http.StatusRequestTimeout, http.StatusLengthRequired, http.StatusRequestHeaderFieldsTooLarge,
	}, status)
}

// find looks the request up; HEAD answers as GET does, and an address of the release API with a slash at its end as without.
func (x contract) find(req *http.Request) (*routers.Route, map[string]string, error) {
	same := req.Clone(req.Context())
	if same.Method == http.MethodHead {
		same.Method = http.MethodGet
	}
	if strings.HasPrefix(same.URL.Path, httpapi.ReleasePrefix) {
		same.URL.Path, same.URL.RawPath = strings.TrimSuffix(same.URL.Path, "/"), strings.TrimSuffix(same.URL.RawPath, "/")
	}
	return x.router.FindRoute(same)
}

// isListed reports whether the document gives the status that media type, so that only its body is left unchecked.
func isListed(route *routers.Route, status int, mediaType string) bool {
	r := route.Operation.Responses.Status(status)
	return r != nil && (len(r.Value.Content) == 0 || r.Value.Content.Get(mediaType) != nil)
}

// isRefusal checks an answer that belongs to no operation of the document; to HEAD it has no body.
func (x contract) isRefusal(req *http.Request, raw []byte) error {
	switch {
	case req.Method == http.MethodHead:
		return nil
	case raw == nil:
		return errors.New("the body is not JSON")
	}
	return Fits(x.doc, "Error", raw)
}

// maxBody bounds a JSON body that is kept for checking: far more than a page of 200 assets.
const maxBody = 16 << 20

// keepBody reads the body and puts it back.
func keepBody(resp *http.Response) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if cerr := resp.Body.Close(); err == nil {
		err = cerr
	}
	resp.Body = io.NopCloser(bytes.NewReader(raw))
	if err == nil && len(raw) > maxBody {
		err = errors.New("larger than any answer in the document")
	}
	if err != nil {
		return nil, fmt.Errorf("read body: %w", err)
	}
	return raw, nil
}
