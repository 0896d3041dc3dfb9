package alerts

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"gatehouse/storage/meta"
)

// The headers of a webhook. The delivery id is the same over all attempts at one message.
const (
	HeaderTimestamp = "X-Gatehouse-Timestamp"
	HeaderSignature = "X-Gatehouse-Signature"
	HeaderDelivery  = "X-Gatehouse-Delivery"
)

// webhook posts each event as it is, signed.
type webhook struct {
	poster
	secret string
	now    func() meta.Stamp
}

func newWebhook(c ChannelConfig, now func() meta.Stamp) (*webhook, error) {
	p, err := newPoster(c.Name, c.URL, c.Secret)
	if err != nil {
		return nil, err
	}
	if c.Secret == "" {
		return nil, fmt.Errorf("alerts.channels.%s.secret: a secret is expected; what a webhook gets is signed with it", c.Name)
	}
	return &webhook{poster: p, secret: c.Secret, now: now}, nil
}

func (w *webhook) batch() int { return 1 }

func (w *webhook) deliver(ctx context.Context, list []message) (string, error) {
	m := list[0]
	timestamp := strconv.FormatInt(w.now().Time().Unix(), 10)
	status, answer, err := w.post(ctx, []byte(m.Body), map[string]string{
		HeaderTimestamp: timestamp, HeaderSignature: Sign(w.secret, timestamp, m.Body), HeaderDelivery: m.ID,
	})
	if err != nil {
		return "", err
	}
	return strings.TrimSuffix(fmt.Sprintf("HTTP %d: %s", status, clip(answer, 200)), ": "), statusFailure(status, answer)
}

// Sign is the signature of a webhook: v1= and the HMAC-SHA256, in hex, of the timestamp, a dot and the body.
func Sign(secret, timestamp, body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(timestamp + "." + body))
	return "v1=" + hex.EncodeToString(mac.Sum(nil))
}
