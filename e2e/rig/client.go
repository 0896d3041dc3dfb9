package rig

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Client speaks the tenant API with one key. It is safe for concurrent use.
type Client struct {
	T        testing.TB
	URL      string
	Key      string
	TenantID string
	// HTTP is the client to use; nil means http.DefaultClient.
	HTTP *http.Client
}

// Asset is what tests read of an asset.
type Asset struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	MediaType string `json:"media_type"`
	Size      int64  `json:"size"`
	SHA256    string `json:"sha256"`
	State     string `json:"state"`
	Duplicate bool   `json:"duplicate"`
	Scan      struct {
		Status    string `json:"status"`
		Signature string `json:"signature"`
		Engine    string `json:"engine"`
		Database  string `json:"database"`
	} `json:"scan"`
	Media struct {
		Status   string  `json:"status"`
		Progress float64 `json:"progress"`
		Error    string  `json:"error"`
		Reason   string  `json:"reason"`
		Width    int     `json:"width"`
		Height   int     `json:"height"`
		Color    string  `json:"dominant_color"`
		Hash     string  `json:"thumbhash"`
		Duration float64 `json:"duration"`
		FPS      float64 `json:"fps"`
		Video    string  `json:"video_codec"`
		Audio    string  `json:"audio_codec"`
		Variants []struct {
			Preset    string `json:"preset"`
			MediaType string `json:"media_type"`
			Width     int    `json:"width"`
			Height    int    `json:"height"`
			Size      int64  `json:"size"`
		} `json:"variants"`
	} `json:"media"`
}

// Refusal is the one envelope of every error.
type Refusal struct {
	Status    int            `json:"-"`
	Sentence  string         `json:"error"`
	Code      string         `json:"code"`
	RequestID string         `json:"request_id"`
	Details   map[string]any `json:"details"`
}

func (r *Refusal) Error() string { return fmt.Sprintf("%d %s: %s", r.Status, r.Code, r.Sentence) }

// CodeOf is the code of a refusal, empty for anything else.
func CodeOf(err error) string {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r.Code
	}
	return ""
}

// Upload sends a file as browsers do. It returns a *Refusal for every answer that is not a success.
func (c *Client) Upload(name string, content []byte, headers ...string) (Asset, error) {
	return c.UploadFrom(name, int64(len(content)), bytes.NewReader(content), headers...)
}

// UploadFrom streams a file of a known size; headers are name, value, name, value ...
func (c *Client) UploadFrom(name string, size int64, content io.Reader, headers ...string) (Asset, error) {
	var head bytes.Buffer
	form := multipart.NewWriter(&head)
	if _, err := form.CreateFormFile("file", name); err != nil {
		return Asset{}, err
	}
	tail := "\r\n--" + form.Boundary() + "--\r\n"
	length := int64(head.Len()) + size + int64(len(tail))
	req, err := http.NewRequest(http.MethodPost, c.URL+"/api/v1/assets", io.MultiReader(&head, content, strings.NewReader(tail)))
	if err != nil {
		return Asset{}, err
	}
	req.ContentLength = length
	req.Header.Set("Content-Type", form.FormDataContentType())
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	var a Asset
	return a, c.do(req, &a)
}

// Get reads JSON.
func (c *Client) Get(path string, into any) error {
	req, err := http.NewRequest(http.MethodGet, c.URL+path, nil)
	if err != nil {
		return err
	}
	return c.do(req, into)
}

// Post sends JSON and reads JSON.
func (c *Client) Post(path string, body, into any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequest(http.MethodPost, c.URL+path, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	return c.do(req, into)
}

// Delete deletes an asset.
func (c *Client) Delete(id string) error {
	req, err := http.NewRequest(http.MethodDelete, c.URL+"/api/v1/assets/"+id, nil)
	if err != nil {
		return err
	}
	return c.do(req, nil)
}

// Asset reads an asset.
func (c *Client) Asset(id string) (Asset, error) {
	var a Asset
	return a, c.Get("/api/v1/assets/"+id, &a)
}

// Bytes reads a whole body, such as content or a variant.
func (c *Client) Bytes(path string) ([]byte, error) {
	req, err := http.NewRequest(http.MethodGet, c.URL+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.send(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= 300 {
		return nil, refusal(resp)
	}
	return io.ReadAll(resp.Body)
}

// Await polls an asset until done says so; it fails the test when that takes longer than patience.
func (c *Client) Await(id string, patience time.Duration, done func(Asset) bool) Asset {
	c.T.Helper()
	var a Asset
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if a, err = c.Asset(id); err == nil && done(a) {
			return a
		}
	}
	c.T.Fatalf("asset %s did not get there within %s: %+v (%v)", id, patience, a, err)
	return a
}

// Scanned says that the verdict is in.
func Scanned(a Asset) bool { return a.State != "quarantined" }

// Ready says that nothing more is to come by itself.
func Ready(a Asset) bool {
	return Scanned(a) && a.Media.Status != "pending" && a.Media.Status != "running"
}

// Events follows an asset's event stream to its end and returns the names of the events.
func (c *Client) Events(id string) ([]string, error) {
	req, err := http.NewRequest(http.MethodGet, c.URL+"/api/v1/assets/"+id+"/events", nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.send(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, refusal(resp)
	}
	var names []string
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			names = append(names, name)
		}
	}
	return names, lines.Err()
}

func (c *Client) send(req *http.Request) (*http.Response, error) {
	if c.Key != "" {
		req.Header.Set("Authorization", "Bearer "+c.Key)
	}
	client := c.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	return client.Do(req)
}

func (c *Client) do(req *http.Request, into any) error {
	resp, err := c.send(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= 300 {
		return refusal(resp)
	}
	if into == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

func refusal(resp *http.Response) error {
	r := &Refusal{Status: resp.StatusCode}
	if err := json.NewDecoder(resp.Body).Decode(r); err != nil {
		return fmt.Errorf("status %d without the envelope: %w", resp.StatusCode, err)
	}
	return r
}
