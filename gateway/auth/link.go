package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"gatehouse/storage"
)

// Links signs public URLs. The signature grants reading one file until it expires; what the file's state is
// when it is read is checked then.
type Links struct {
	// Secret is shared by all gateways; at least 32 bytes.
	Secret []byte
	// MaxAge is the longest life of a link.
	MaxAge time.Duration
}

// Link is what a signed URL grants.
type Link struct {
	TenantID string `json:"t"`
	AssetID  string `json:"a"`
	// Variant is a preset's name, or empty for the original.
	Variant string `json:"v,omitempty"`
	// Expires is in seconds since the Unix epoch.
	Expires int64 `json:"e"`
}

// linkVersion begins what is signed, so that no other use of the secret can be taken for a link.
const linkVersion = "gatehouse-link-1\n"

// maxToken bounds what is decoded; a real token has about 250 bytes.
const maxToken = 1024

// Sign makes the token of a link.
func (l *Links) Sign(link Link) (string, error) {
	raw, err := json.Marshal(link)
	if err != nil {
		return "", fmt.Errorf("sign link: %w", err)
	}
	body := base64.RawURLEncoding.EncodeToString(raw)
	return body + "." + base64.RawURLEncoding.EncodeToString(l.mac(body)), nil
}

var reasonLinkExpired = storage.Reason{
	Slug:    "link_expired",
	English: "This link has expired; ask whoever gave it to you for a new one.",
	Chinese: "此链接已过期；请向提供者索取新的链接。",
}

// Verify reads a token. A forged or broken one is NOT_FOUND, like a link that never was; an expired one says that it
// has expired.
func (l *Links) Verify(token string, now time.Time) (Link, error) {
	var link Link
	body, mac, ok := strings.Cut(token, ".")
	if !ok || len(token) > maxToken {
		return link, storage.ErrNotFound
	}
	got, err := base64.RawURLEncoding.Strict().DecodeString(mac)
	if err != nil || !hmac.Equal(got, l.mac(body)) {
		return link, storage.ErrNotFound
	}
	raw, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil || json.Unmarshal(raw, &link) != nil {
		return Link{}, storage.ErrNotFound
	}
	if now.Unix() >= link.Expires {
		return Link{}, storage.ErrNotFound.Because(reasonLinkExpired)
	}
	return link, nil
}

func (l *Links) mac(body string) []byte {
	h := hmac.New(sha256.New, l.Secret)
	h.Write([]byte(linkVersion + body))
	return h.Sum(nil)
}
