package rig

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
)

// Operator is a person with a session at the admin API, and an authenticator app.
type Operator struct {
	T   testing.TB
	URL string
	// Name and Password are the operator's; Secret is that of the second factor.
	Name, Password, Secret string
	// Recovery are the codes that were shown once.
	Recovery []string
	// From is the address that a trusted proxy would give; empty sends none.
	From string

	cookie, csrf string
	step         int64
}

// totpPeriod is how long a code lasts (RFC 6238).
const totpPeriod = 30

// Operator makes an operator on the command line and takes it through its first login.
func (r *Rig) Operator(name, role string) *Operator {
	r.T.Helper()
	var made struct {
		Link string `json:"link"`
	}
	if err := json.Unmarshal([]byte(r.Gateway("operator", "create", name, "--role", role, "--json")), &made); err != nil {
		r.T.Fatal(err)
	}
	o := &Operator{T: r.T, URL: r.URLs[0], Name: name, Password: "Kestrel-47-lantern"}
	o.Accept(made.Link)
	return o
}

// Accept chooses the password with a one-time link and sets up the second factor.
func (o *Operator) Accept(link string) {
	o.T.Helper()
	o.OK(http.MethodPost, "auth/setup", map[string]any{"link": link, "password": o.Password}, nil)
	o.Enroll()
}

// Enroll sets up a second factor.
func (o *Operator) Enroll() {
	o.T.Helper()
	var factor struct{ Secret string }
	o.OK(http.MethodPost, "auth/mfa/setup", map[string]any{}, &factor)
	o.Secret, o.step = factor.Secret, 0
	var in struct {
		RecoveryCodes []string `json:"recovery_codes"`
	}
	o.OK(http.MethodPost, "auth/mfa/confirm", map[string]any{"code": o.Code()}, &in)
	o.Recovery = in.RecoveryCodes
}

// Login signs in with both factors.
func (o *Operator) Login() {
	o.T.Helper()
	o.cookie, o.csrf = "", ""
	o.OK(http.MethodPost, "auth/login", map[string]any{"name": o.Name, "password": o.Password}, nil)
	o.OK(http.MethodPost, "auth/verify", map[string]any{"code": o.Code()}, nil)
}

// StepUp opens the dangerous calls.
func (o *Operator) StepUp() {
	o.T.Helper()
	o.OK(http.MethodPost, "auth/step-up", map[string]any{"code": o.Code()}, nil)
}

// Code is the next code that was not used yet. A code is good from one period before its own to one behind it, so that three
// can be had at once; the fourth is waited for.
func (o *Operator) Code() string {
	o.T.Helper()
	now := time.Now().Unix() / totpPeriod
	o.step = max(o.step+1, now-1)
	for ; now+1 < o.step; now = time.Now().Unix() / totpPeriod {
		time.Sleep(time.Second)
	}
	code, err := totp.GenerateCode(o.Secret, time.Unix(o.step*totpPeriod, 0))
	if err != nil {
		o.T.Fatal(err)
	}
	return code
}

// Session is the secret of the session and its CSRF token, for whoever steals them.
func (o *Operator) Session() (cookie, csrf string) { return o.cookie, o.csrf }

// Use takes another session's place.
func (o *Operator) Use(cookie, csrf string) { o.cookie, o.csrf = cookie, csrf }

// Call sends JSON and reads JSON; it returns a *Refusal for every answer that is not a success.
func (o *Operator) Call(method, path string, body, into any) error {
	if body == nil {
		return o.send(method, path, "", nil, into)
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return o.send(method, path, "application/json", bytes.NewReader(raw), into)
}

// Upload sends a file as a browser does.
func (o *Operator) Upload(path, name string, content []byte, into any) error {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", name)
	if err != nil {
		return err
	}
	_, err = part.Write(content)
	if err := errors.Join(err, form.Close()); err != nil {
		return err
	}
	return o.send(http.MethodPost, path, form.FormDataContentType(), &body, into)
}

func (o *Operator) send(method, path, contentType string, body io.Reader, into any) error {
	req, err := http.NewRequest(method, o.URL+"/api/admin/"+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Origin", o.URL)
	req.Header.Set("X-CSRF-Token", o.csrf)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if o.From != "" {
		req.Header.Set("X-Forwarded-For", o.From)
	}
	if o.cookie != "" { // by hand: Go's jar keeps a Secure cookie from an address without TLS
		req.AddCookie(&http.Cookie{Name: sessionCookie, Value: o.cookie})
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	for _, c := range resp.Cookies() {
		if c.Name == sessionCookie {
			o.cookie = c.Value
		}
	}
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	return o.answer(resp.StatusCode, raw, into)
}

const sessionCookie = "__Host-gatehouse"

func (o *Operator) answer(status int, raw []byte, into any) error {
	if status >= http.StatusBadRequest {
		refusal := &Refusal{Status: status}
		if err := json.Unmarshal(raw, refusal); err != nil {
			return err
		}
		return refusal
	}
	var session struct {
		CSRF string `json:"csrf_token"`
	}
	if json.Unmarshal(raw, &session) == nil && session.CSRF != "" {
		o.csrf = session.CSRF
	}
	switch into := into.(type) {
	case nil:
		return nil
	case *[]byte:
		*into = raw
		return nil
	default:
		return json.Unmarshal(raw, into)
	}
}

// OK is Call that must succeed.
func (o *Operator) OK(method, path string, body, into any) {
	o.T.Helper()
	if err := o.Call(method, path, body, into); err != nil {
		o.T.Fatalf("%s %s: %v", method, path, err)
	}
}
