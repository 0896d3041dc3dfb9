package settings

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"gatehouse/storage/meta"
)

// Read gives what holds: what is set, and what is configured for the rest. A row that this program does not know, or cannot
// believe, is of another version of it and left out.
func Read(ctx context.Context, db *meta.DB, configured Values) (Values, error) {
	rows, err := db.Settings(ctx)
	if err != nil {
		return configured, fmt.Errorf("read settings: %w", err)
	}
	return With(configured, rows), nil
}

// With is Read with the rows at hand.
func With(configured Values, rows []meta.Setting) Values {
	out := configured
	for _, r := range rows {
		if s, ok := ByName(r.Name); ok {
			_ = s.Put(&out, json.RawMessage(r.Value)) // leaves out as it is when it fails
		}
	}
	return out
}

// Fresh is how old a value may be where it is asked for with every request.
const Fresh = 2 * time.Second

// Live is what holds now, for programs that ask often: at most one question to the database each Fresh. It is safe for
// concurrent use.
type Live struct {
	DB         *meta.DB
	Configured Values
	Log        *slog.Logger

	mu     sync.Mutex
	values *Values
	asked  time.Time
}

// readTime bounds the question; whoever asks meanwhile waits for it.
const readTime = 2 * time.Second

// Now gives the values. When the database cannot be asked it gives the last ones that it knew, or the configured ones: a
// setting is no safeguard, and what needs the database will say so itself.
func (l *Live) Now(ctx context.Context) Values {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.values != nil && time.Since(l.asked) < Fresh {
		return *l.values
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTime)
	defer cancel()
	v, err := Read(ctx, l.DB, l.Configured)
	l.asked = time.Now()
	if err != nil {
		l.Log.Warn("settings cannot be read; the last ones known hold", "error", err)
		if l.values != nil {
			return *l.values
		}
	}
	l.values = &v
	return v
}
