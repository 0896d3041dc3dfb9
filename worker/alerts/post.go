package alerts

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	// postTime bounds one request from the first lookup to the last byte of the answer.
	postTime = 10 * time.Second
	// answerBytes is how much of an answer is read.
	answerBytes = 4 << 10
)

// poster posts JSON to one address. The address may hold a key: no error of a poster repeats it.
type poster struct {
	url    string
	client *http.Client
	// hide takes the address, its key and the secret out of answers: a host that echoes must not fill our log with them.
	hide *strings.Replacer
}

func newPoster(channel, address, secret string) (poster, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		// What url.Parse says repeats the address.
		return poster{}, fmt.Errorf("alerts.channels.%s.url: an http or https URL is expected", channel)
	}
	return poster{url: address, hide: hider(u, address, secret), client: &http.Client{
		Timeout: postTime,
		// A redirect would take the message, and with it the signature, to where nobody has configured.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// keyBytes is the length from which a part of an address may be a key; shorter ones are words that answers need.
const keyBytes = 8

// hider hides an address, all of it but its scheme and host that may be a key, and a secret, in the forms in which
// somebody may say them back.
func hider(u *url.URL, address, secret string) *strings.Replacer {
	words := []string{address, secret, u.RequestURI(), u.EscapedPath(), u.Path}
	parts := append(strings.Split(u.Path, "/"), u.Fragment)
	for name, values := range u.Query() {
		parts = append(append(parts, name), values...)
	}
	password, _ := u.User.Password()
	for _, p := range append(parts, u.User.Username(), password) {
		if len(p) >= keyBytes {
			words = append(words, p, url.QueryEscape(p), url.PathEscape(p))
		}
	}
	slices.SortFunc(words, func(a, b string) int { return len(b) - len(a) }) // the longest first: of two, it must be the one
	var pairs []string
	for _, w := range words {
		if len(w) >= keyBytes {
			pairs = append(pairs, w, "***")
		}
	}
	return strings.NewReplacer(pairs...)
}

// post sends body and gives the status and the beginning of the answer.
func (p poster) post(ctx context.Context, body []byte, headers map[string]string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return 0, "", &failure{problem: "the request could not be made"}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Gatehouse")
	for k, v := range headers {
		req.Header.Set(k, v)
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return 0, "", &failure{problem: whatFailed(err)}
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, answerBytes))
	if err != nil {
		return resp.StatusCode, "", &failure{problem: "the answer broke off: " + whatFailed(err)}
	}
	return resp.StatusCode, p.hide.Replace(oneLine(string(answer))), nil
}

// whatFailed says it in words of our own: the errors of net/http repeat the address.
func whatFailed(err error) string {
	var timeout interface{ Timeout() bool }
	var unknown *net.DNSError
	var cert *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var record tls.RecordHeaderError
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Sprintf("no answer within %s", postTime)
	case errors.Is(err, context.Canceled):
		return "this worker is stopping"
	case errors.As(err, &unknown):
		return "the host's name is not known"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection was refused"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "there is no way to the host"
	case errors.As(err, &cert), errors.As(err, &authority):
		return "the host's certificate is not valid"
	case errors.As(err, &record):
		return "the host does not speak TLS"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "the host closed the connection"
	}
	return "the request failed"
}

// statusFailure is what a status that is no success means; nil for one that is.
func statusFailure(status int, answer string) error {
	switch {
	case status >= 200 && status < 300:
		return nil
	case status >= 300 && status < 400:
		return &failure{problem: fmt.Sprintf("HTTP %d: redirects are not followed", status)}
	}
	return &failure{problem: strings.TrimSuffix(fmt.Sprintf("HTTP %d: %s", status, clip(answer, 200)), ": ")}
}
