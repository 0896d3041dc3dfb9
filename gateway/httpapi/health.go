package httpapi

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
)

const (
	// checkTime bounds one check of a dependency.
	checkTime = 5 * time.Second
	// readyFor is how long an answer of /readyz is given again: load balancers ask often, and a check of the
	// store costs a small put.
	readyFor = 2 * time.Second
)

// Health answers /healthz and /readyz.
type Health struct {
	DB    *meta.DB
	Zones *blob.Zones
	// Spool says whether the spool's disk has room for uploads; nil means that nobody watches it.
	Spool func() error

	mu   sync.Mutex
	last readiness
	at   time.Time
}

// dependency is what /readyz says of one.
type dependency struct {
	Status string `json:"status"`
	Error  string `json:"error,omitempty"`
	// Required: without it the gateway takes no uploads. Without the scanner it does: files wait in quarantine.
	Required bool `json:"required"`
	// readable: without it everything else goes on, and the gateway must not be taken for down.
	readable bool
	Scanner  *scannerView `json:"scanner,omitempty"`
	Warning  string       `json:"warning,omitempty"`
}

// scannerView is what a worker last saw of the scanner, without what only operators should read.
type scannerView struct {
	Ready          bool      `json:"ready"`
	Engine         string    `json:"engine"`
	Database       string    `json:"database"`
	TestSignatures bool      `json:"test_signatures"`
	CheckedAt      time.Time `json:"checked_at"`
}

type readiness struct {
	Status       string                `json:"status"`
	Dependencies map[string]dependency `json:"dependencies"`
}

// Healthz says that the process is alive; it asks nobody.
func (h *Health) Healthz(c *fiber.Ctx) error { return c.JSON(fiber.Map{"status": "ok"}) }

// Readyz says whether the gateway can do its work, dependency by dependency: 200 ready or degraded, 503 not.
func (h *Health) Readyz(c *fiber.Ctx) error {
	r := h.check(c.UserContext())
	if r.Status == "unavailable" {
		c.Status(fiber.StatusServiceUnavailable)
		c.Set(fiber.HeaderRetryAfter, "5")
	}
	c.Set(fiber.HeaderCacheControl, "no-store")
	return c.JSON(r)
}

func (h *Health) check(ctx context.Context) readiness {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Since(h.at) < readyFor {
		return h.last
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	r := readiness{Status: "ready", Dependencies: map[string]dependency{}}
	var wg sync.WaitGroup
	var mu sync.Mutex
	for name, ask := range map[string]func(context.Context) dependency{
		"database": h.database, "store": h.store, "scanner": h.scanner, "spool": h.spool,
	} {
		wg.Go(func() {
			d := ask(ctx)
			mu.Lock()
			defer mu.Unlock()
			r.Dependencies[name] = d
		})
	}
	wg.Wait()
	for _, d := range r.Dependencies {
		switch {
		case d.Status == "ok":
		case d.Required && !d.readable:
			r.Status = "unavailable"
		case r.Status == "ready":
			r.Status = "degraded"
		}
	}
	h.last, h.at = r, time.Now()
	return r
}

func (h *Health) database(ctx context.Context) dependency {
	return required(h.DB.SchemaCurrent(ctx), "the database cannot be read, or its schema is not this program's; run `gateway migrate`")
}

func (h *Health) store(ctx context.Context) dependency {
	return required(h.Zones.Ready(ctx), "the store cannot be reached or written to")
}

func (h *Health) spool(context.Context) dependency {
	d := dependency{Status: "ok", Required: true}
	if h.Spool != nil {
		d = required(h.Spool(), "the disk for uploads under way is short of space; new uploads are refused, running ones finish")
	}
	d.readable = true
	return d
}

// required reports in words of our own: an inner error may name hosts and users, and /readyz is public.
func required(err error, sentence string) dependency {
	d := dependency{Status: "ok", Required: true}
	if err != nil {
		d.Status, d.Error = "failed", sentence
	}
	return d
}

func (h *Health) scanner(ctx context.Context) dependency {
	f, err := h.DB.Scanner(ctx)
	d := dependency{Status: "ok"}
	switch {
	case errors.Is(err, storage.ErrNotFound):
		d.Status, d.Error = "failed", "no worker has reported a scanner yet"
		return d
	case err != nil:
		d.Status, d.Error = "failed", "what the workers report cannot be read"
		return d
	case !f.Ready:
		d.Status, d.Error = "failed", "the scanner fails its canary scan; files wait in quarantine"
	case f.Silent(time.Now()):
		d.Status, d.Error = "failed", "no worker has reported lately"
	}
	if f.TestSignatures {
		d.Warning = "ONLY TEST SIGNATURES ARE LOADED: real malware is not found. Install a ClamAV signature database."
	}
	d.Scanner = &scannerView{f.Ready, f.Engine, f.Database, f.TestSignatures, f.CheckedAt.Time()}
	return d
}
