package release

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/release"
)

const (
	// fresh is how old an answer may be: what is published or paused is so for all clients after it.
	fresh = time.Second
	// early is when a new view is fetched in the background, so that under load nobody waits for one.
	early = fresh / 2
	// stale is how old an answer may be while the database cannot be asked: an outage of seconds is not worth an error in
	// every client, and a release that was taken back must not be offered for long.
	stale = 30 * time.Second
	// loadTime bounds one fetch; a request waits for two at most, one that had begun before it and its own.
	loadTime = 3 * time.Second
)

// catalog is what is published, as it was a moment ago. The zero value is empty and fetches when it is asked.
type catalog struct {
	view   atomic.Pointer[view]
	failed atomic.Pointer[failure]
	ahead  atomic.Bool
	// news counts what happened here that a view whose fetch began before it may not know.
	news    atomic.Int64
	flights singleflight.Group
}

// view is what was published at one time; it never changes.
type view struct {
	at time.Time
	// news is what the catalog's was when the fetch began.
	news   int64
	tracks map[release.Track]*offers
}

func (v *view) youngerThan(age time.Duration) bool { return v != nil && time.Since(v.at) < age }

// known is the last view, nil when there was news since: whenever it was put there, it is not answered from.
func (c *catalog) known() *view {
	v := c.view.Load()
	if v == nil || v.news != c.news.Load() {
		return nil
	}
	return v
}

// failure keeps a database that does not answer from being asked by every request.
type failure struct {
	at  time.Time
	err error
}

// published is the view to answer from.
func (a *API) published() (*view, error) {
	c := &a.catalog
	v := c.known()
	switch {
	case v.youngerThan(early):
		return v, nil
	case v.youngerThan(fresh):
		a.refreshAhead()
		return v, nil
	}
	f := c.failed.Load()
	again := f == nil || time.Since(f.at) >= fresh
	switch {
	case f != nil && v.youngerThan(stale): // a database that hangs holds nobody up who can be answered
		if again {
			a.refreshAhead()
		}
		return v, nil
	case again:
		if now := a.refresh(); now != nil {
			return now, nil
		}
	}
	if v.youngerThan(stale) {
		return v, nil
	}
	refusal := storage.Refuse(storage.CodeUnavailable, nil)
	if f := c.failed.Load(); f != nil {
		refusal = refusal.CausedBy(f.err)
	}
	return nil, refusal
}

// refreshAhead fetches a new view while others are answered from the last.
func (a *API) refreshAhead() {
	if a.catalog.ahead.CompareAndSwap(false, true) {
		go func() {
			defer a.catalog.ahead.Store(false)
			a.refresh()
		}()
	}
}

// refresh fetches a new view, once for all who ask at the same time; nil when it cannot be had. It answers to nobody's request, so
// none can cancel it. Whoever waited for it uses what it returns: there may be news the moment it is there, but none from before
// the question is missed.
func (a *API) refresh() *view {
	asked := a.catalog.news.Load()
	for {
		got, _, _ := a.catalog.flights.Do("", func() (any, error) { return a.fetch(), nil })
		if v := got.(*view); v == nil || v.news >= asked {
			return v
		}
	}
}

// fetch is nil when the database does not answer.
func (a *API) fetch() *view {
	ctx, cancel := context.WithTimeout(context.Background(), loadTime)
	defer cancel()
	c := &a.catalog
	v := &view{at: time.Now(), news: c.news.Load()}
	releases, err := a.DB.ServedReleases(ctx, release.PlatformTenant)
	if err != nil {
		c.failed.Store(&failure{time.Now(), err})
		a.Log.Warn("what is published cannot be read; clients get the last answers for a while", "error", err)
		return nil
	}
	c.failed.Store(nil)
	v.tracks = a.offersOf(releases)
	c.view.Store(v)
	return v
}

// forget makes the next request fetch anew: something that is offered is known to be damaged.
func (a *API) forget() { a.catalog.news.Add(1) }

// offersOf sorts the releases by their tracks.
func (a *API) offersOf(releases []meta.ServedRelease) map[release.Track]*offers {
	byID := make(map[string]*meta.ServedRelease, len(releases))
	for i := range releases {
		byID[releases[i].ID] = &releases[i]
	}
	out := map[release.Track]*offers{}
	for i := range releases {
		r := &releases[i]
		if r.PublishedKey == nil {
			continue
		}
		t := release.Track{Channel: r.Channel, Platform: r.Platform, Arch: r.Arch}
		o := &offers{current: a.offerOf(r)}
		if f := byID[r.FallbackID]; f != nil && (f.Channel == r.Channel && f.Platform == r.Platform && f.Arch == r.Arch) {
			o.fallback = a.offerOf(f)
		}
		out[t] = o
	}
	return out
}
