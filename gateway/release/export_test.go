package release

import (
	"errors"
	"time"
)

// Forget makes the next request see what the test has written.
func (a *API) Forget() { a.forget() }

// ForgetLate is Forget between the last look of a fetch for news and its end.
func (a *API) ForgetLate() {
	v := a.catalog.view.Load()
	a.forget()
	a.catalog.view.Store(v)
}

// Age makes what is held look older.
func (a *API) Age(by time.Duration) {
	v := *a.catalog.view.Load()
	v.at = v.at.Add(-by)
	a.catalog.view.Store(&v)
	if f := a.catalog.failed.Load(); f != nil {
		a.catalog.failed.Store(&failure{f.at.Add(-by), f.err})
	}
}

// Hang makes the database one that did not answer a while ago and does not answer now, until what is returned is called.
func (a *API) Hang() (answer func()) {
	a.catalog.failed.Store(&failure{time.Now().Add(-fresh), errors.New("no answer")})
	asked, answered := make(chan struct{}), make(chan struct{})
	go func() {
		_, _, _ = a.catalog.flights.Do("", func() (any, error) {
			close(asked)
			<-answered
			return (*view)(nil), nil
		})
	}()
	<-asked
	return func() { close(answered) }
}
