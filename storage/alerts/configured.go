package alerts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// Configured is what a worker watches for and whom it tells. It has no secrets.
type Configured struct {
	// At is when a worker with this configuration started.
	At       time.Time `json:"at"`
	Rules    []Rule    `json:"rules"`
	Channels []Channel `json:"channels"`
}

// Rule is one thing that is watched for.
type Rule struct {
	Name    string `json:"name"`
	Watches string `json:"watches"`
	// Thresholds are its limits by the names of their configuration keys.
	Thresholds map[string]any `json:"thresholds"`
}

// Channel is where alerts are told.
type Channel struct {
	Name string `json:"name"`
	Kind string `json:"kind"`
	// On: it has the address that it needs.
	On bool `json:"on"`
	// Severities and Rules confine what is told; empty means all.
	Severities []string `json:"severities"`
	Rules      []string `json:"rules"`
}

// Hears reports whether the channel is told of alerts of a rule, of some severity.
func (c Channel) Hears(rule string) bool {
	return c.On && (len(c.Rules) == 0 || slices.Contains(c.Rules, rule))
}

// factConfigured is where a worker tells it.
const factConfigured = "alerts.configured"

// Tell says what this worker is configured to do; of several workers the one that started last is heard.
func Tell(ctx context.Context, db *meta.DB, c Configured) error {
	raw, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return db.SetFact(ctx, factConfigured, string(raw))
}

// Told reads what Tell wrote; nothing when no worker has ever run.
func Told(ctx context.Context, db *meta.DB) (Configured, error) {
	var c Configured
	f, err := db.FactByName(ctx, factConfigured)
	if errors.Is(err, storage.ErrNotFound) {
		return c, nil
	}
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal([]byte(f.Value), &c); err != nil {
		return c, fmt.Errorf("fact %s: %w", factConfigured, err)
	}
	return c, nil
}
