package operator

import (
	"context"
	"encoding/json"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

const goodPassword = "Kelp7-Anvil-Quorum"

var (
	home    = Caller{Address: netip.MustParseAddr("192.0.2.7"), UserAgent: "test", RequestID: "r1"}
	testKey = []byte("0123456789abcdef0123456789abcdef")
)

// clock is one that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// office is two gateways on one database, with one clock.
type office struct {
	*testing.T
	*clock
	db       *meta.DB
	one, two *Desk
}

func each(t *testing.T, test func(o *office)) {
	t.Helper()
	metatest.EachTwice(t, func(t *testing.T, one, two *meta.DB) {
		o := &office{T: t, clock: &clock{at: time.Now().Truncate(30 * time.Second).Add(10 * time.Second)}, db: one}
		o.one, o.two = o.desk(one), o.desk(two)
		test(o)
	})
}

// onSQLite is each for what no SQL decides.
func onSQLite(t *testing.T, test func(o *office)) {
	t.Helper()
	db := metatest.SQLite(t)
	o := &office{T: t, clock: &clock{at: time.Now().Truncate(30 * time.Second).Add(10 * time.Second)}, db: db}
	o.one = o.desk(db)
	o.two = o.one
	test(o)
}

func (o *office) desk(db *meta.DB) *Desk {
	d, err := NewDesk(db, testKey)
	require.NoError(o, err)
	d.Now = o.now
	d.hashes.cost = cost{Memory: 64, Time: 1, Threads: 1} // what a hash costs is not what these tests are about
	d.hashes.nobody = encode(d.hashes.cost, make([]byte, saltBytes), make([]byte, hashBytes))
	return d
}

// person is an operator who is all set up.
type person struct {
	o        *office
	id, name string
	secret   string
	recovery []string
	ticket   Ticket
}

func (o *office) hire(name string, role Role) *person {
	o.Helper()
	v, link, err := o.one.CreateOperator(context.Background(), audit.CLI, "", name, role)
	require.NoError(o, err)
	p := &person{o: o, id: v.ID, name: v.Name}
	p.ticket, err = o.one.SetUp(o.Context(), home, link, goodPassword)
	require.NoError(o, err)
	p.enroll()
	return p
}

func (p *person) enroll() {
	e, err := p.o.one.BeginTOTP(p.o.Context(), home, p.principal())
	require.NoError(p.o, err)
	p.secret = e.Secret
	p.ticket, p.recovery, err = p.o.one.ConfirmTOTP(p.o.Context(), home, p.principal(), p.code())
	require.NoError(p.o, err)
}

// principal is read by the session's secret, as for every request.
func (p *person) principal() *Principal {
	p.o.Helper()
	got, _, err := p.o.one.Session(p.o.Context(), p.ticket.Token)
	require.NoError(p.o, err)
	return got
}

// code is the one of now; next lets the clock go on to a fresh one.
func (p *person) code() string {
	code, err := totp.GenerateCode(p.secret, p.o.now())
	require.NoError(p.o, err)
	return code
}

func (p *person) next() string {
	p.o.pass(30 * time.Second)
	return p.code()
}

// login goes as far as the password leads.
func (p *person) login() *person {
	p.o.Helper()
	t, err := p.o.one.Login(p.o.Context(), home, p.name, goodPassword)
	require.NoError(p.o, err)
	again := *p
	again.ticket = t
	return &again
}

func (p *person) full() *person {
	p.o.Helper()
	again := p.login()
	t, err := p.o.one.Verify(p.o.Context(), home, again.principal(), p.next())
	require.NoError(p.o, err)
	again.ticket = t
	return again
}

func reason(t testing.TB, err error) string {
	t.Helper()
	e := &storage.Error{}
	require.ErrorAs(t, err, &e)
	require.NotNil(t, e.Reason, "%v", err)
	require.NotEmpty(t, e.Reason.Chinese)
	return e.Reason.Slug
}

func (o *office) refused(err error, slug string) {
	o.Helper()
	require.Error(o, err)
	require.Equal(o, slug, reason(o, err), "%v", err)
}

// atOnce runs fn n times, in turn on the two gateways, and tells the errors.
func (o *office) atOnce(n int, fn func(d *Desk, i int) error) []error {
	errs := make([]error, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		d := o.one
		if i%2 == 1 {
			d = o.two
		}
		wg.Go(func() {
			<-start
			errs[i] = fn(d, i)
		})
	}
	close(start)
	wg.Wait()
	return errs
}

// count is how many errors have a reason; the empty one is no error.
func (o *office) count(errs []error, slug string) int {
	n := 0
	for _, err := range errs {
		if err == nil {
			if slug == "" {
				n++
			}
			continue
		}
		if slug != "" && reason(o, err) == slug {
			n++
		}
	}
	return n
}

// logged gives the records of an action, newest first.
func (o *office) logged(action string) []meta.AuditRecord {
	rows, err := o.db.AuditLog(context.Background(), meta.AuditFilter{Action: action}, 1000)
	require.NoError(o, err)
	return rows
}

func (o *office) everythingLogged() string {
	rows, err := o.db.AuditLog(context.Background(), meta.AuditFilter{}, 10000)
	require.NoError(o, err)
	raw, err := json.Marshal(rows)
	require.NoError(o, err)
	return string(raw)
}
