package assets

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

const (
	// eventPoll is how often an open stream looks for news at first; it slows down to eventPollMax while there
	// is none.
	eventPoll    = 100 * time.Millisecond
	eventPollMax = time.Second
	// eventBeat keeps proxies from closing a quiet stream. The first one comes after firstBeat: a write is what shows
	// that a client has gone, and its slot is free again.
	eventBeat = 15 * time.Second
	firstBeat = time.Second
	// eventPage bounds one look.
	eventPage = 100
	// eventState is how often an open stream asks whether its tenant is still served.
	eventState = 5 * time.Second
	// streamLife ends a stream that never becomes final; the client connects again with Last-Event-ID.
	streamLife = 30 * time.Minute
)

// Events is GET /assets/{id}/events: server-sent events until nothing more is to come. Each carries the asset
// as it is now; the last one is named "end". A client that comes back after the end gets 204, which tells an
// EventSource to stop.
func (a *API) Events(c *fiber.Ctx) error {
	id, err := assetID(c)
	if err != nil {
		return err
	}
	after := int64(0)
	last := c.Get("Last-Event-ID")
	if last != "" {
		if after, err = strconv.ParseInt(last, 10, 64); err != nil || after < 0 {
			return malformed("last_event_id", "Last-Event-ID is not the id of an event.", "Last-Event-ID 不是有效的事件标识。")
		}
	}
	ctx, cancel := a.context(c)
	defer cancel()
	v, err := a.tenant(ctx, c).Asset(id)
	if err != nil {
		return err
	}
	v, ended, err := settled(a.tenant(ctx, c), v)
	if err != nil {
		return err
	}
	if last != "" && ended {
		news, err := a.tenant(ctx, c).Events(id, after, 1)
		if err != nil {
			return err
		}
		if len(news) == 0 {
			return c.SendStatus(fiber.StatusNoContent)
		}
	}
	if c.Method() == fiber.MethodHead {
		c.Set(fiber.HeaderContentType, "text/event-stream")
		c.Response().SkipBody = true
		return nil
	}
	select {
	case a.Streams <- struct{}{}:
	default:
		return storage.Refuse(storage.CodeUnavailable, nil).CausedBy(errors.New("too many event streams are open"))
	}
	c.Set(fiber.HeaderContentType, "text/event-stream")
	c.Set(fiber.HeaderCacheControl, "no-store")
	c.Set("X-Accel-Buffering", "no") // nginx passes each event on at once
	s := eventStream{api: a, tenant: v.TenantID, asset: id, after: after, locale: a.locale(c)}
	c.Context().SetBodyStreamWriter(func(w *bufio.Writer) {
		defer func() { <-a.Streams }()
		defer func() {
			// Nobody else would catch it: the server runs this in a goroutine of its own.
			if p := recover(); p != nil {
				a.Log.Error("event stream panicked", "tenant", s.tenant, "asset", s.asset, "panic", p)
			}
		}()
		if err := s.run(w); err != nil {
			a.Log.Warn("event stream ended", "tenant", s.tenant, "asset", s.asset, "error", err)
		}
	})
	return nil
}

// eventStream outlives its handler: it holds copies only.
type eventStream struct {
	api    *API
	tenant string
	asset  string
	after  int64
	locale storage.Locale
}

// run writes events until the asset is final, the tenant is not served any more, or the client has gone, which only a
// failing write shows. Its error is trouble of our own.
func (s *eventStream) run(w *bufio.Writer) error {
	poll, beat := eventPoll, time.Now().Add(firstBeat)
	var asked time.Time
	for end := time.Now().Add(streamLife); time.Now().Before(end); {
		if time.Since(asked) >= eventState {
			asked = time.Now()
			if served, err := s.served(); err != nil || !served {
				return err
			}
		}
		n, done, err := s.news(w)
		if err != nil {
			return err
		}
		switch {
		case n > 0 || done:
			poll, beat = eventPoll, time.Now().Add(eventBeat)
			if w.Flush() != nil || done {
				return nil // the client has gone, or has everything
			}
		case time.Now().After(beat):
			beat = time.Now().Add(eventBeat)
			if _, err := w.WriteString(": still here\n\n"); err != nil || w.Flush() != nil {
				return nil
			}
		}
		select {
		case <-s.api.Closing:
			return nil
		case <-time.After(poll):
			poll = min(poll*5/4, eventPollMax)
		}
	}
	return nil
}

// served reports whether the tenant may still read: its key was good when the stream was opened.
func (s *eventStream) served() (bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), s.api.Timeout)
	defer cancel()
	row, err := s.api.DB.Tenant(ctx, s.tenant).Row()
	return row.State.Served(), err
}

// news writes what has happened since the last look.
func (s *eventStream) news(w *bufio.Writer) (n int, done bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), s.api.Timeout)
	defer cancel()
	tenant := s.api.DB.Tenant(ctx, s.tenant)
	// The asset is read before its events: "final" then never hides an event that came in between.
	v, err := tenant.Asset(s.asset)
	deleted := errors.Is(err, storage.ErrNotFound)
	if err != nil && !deleted {
		return 0, false, err
	}
	ended := deleted
	if !deleted {
		if v, ended, err = settled(tenant, v); err != nil {
			return 0, false, err
		}
	}
	events, err := tenant.Events(s.asset, s.after, eventPage)
	if err != nil {
		return 0, false, err
	}
	for _, e := range events {
		if err := writeEvent(w, e.ID, string(e.Kind), eventBody(e, v, deleted, s.locale)); err != nil {
			return n, false, err
		}
		s.after = e.ID
	}
	n = len(events)
	if n == 0 && ended {
		return n, true, writeEvent(w, s.after, "end", eventBody(meta.Event{Data: "{}"}, v, deleted, s.locale))
	}
	return n, false, nil
}

func eventBody(e meta.Event, v meta.AssetView, deleted bool, l storage.Locale) map[string]any {
	body := map[string]any{"data": dataOf(e, l), "asset": nil}
	if e.At != 0 {
		body["at"] = e.At.Time()
	}
	if !deleted {
		body["asset"] = viewOf(v, l)
	}
	return body
}

// dataOf is what the event recorded, with the sentence of a failure in the caller's language.
func dataOf(e meta.Event, l storage.Locale) any {
	raw := json.RawMessage(e.Data)
	var data map[string]any
	if e.Kind != storage.EventMedia || json.Unmarshal(raw, &data) != nil {
		return raw
	}
	slug, _ := data["reason"].(string)
	if r, ok := storage.MediaReason(slug); ok {
		data["error"] = r.In(l)
	}
	return data
}

func writeEvent(w *bufio.Writer, id int64, kind string, body any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "id: %d\nevent: %s\ndata: %s\n\n", id, kind, raw)
	return err
}

// settled is final for an asset that may be damaged: then all depends on whether anybody is at work on its bytes, because
// the states stay what they were before the damage until a scan has healed it. The view is a newer one where that matters.
func settled(tenant meta.Tenant, v meta.AssetView) (meta.AssetView, bool, error) {
	if v.Blob.Damage == "" {
		return v, final(v), nil
	}
	rows, err := tenant.Families([]string{v.SHA256})
	if err != nil || rows[v.SHA256].Busy {
		return v, false, err
	}
	// What was at work may have ended since the asset was read.
	now, err := tenant.Asset(v.ID)
	if errors.Is(err, storage.ErrNotFound) {
		return v, false, nil // deleted just now: the next look says so
	}
	return now, err == nil && (now.Blob.Damage != "" || final(now)), err
}

// final reports whether nothing more is to come by itself.
func final(v meta.AssetView) bool {
	if v.State == storage.AssetQuarantined {
		return false
	}
	return v.State == storage.AssetRejected ||
		(v.Blob.MediaStatus != storage.MediaPending && v.Blob.MediaStatus != storage.MediaRunning)
}
