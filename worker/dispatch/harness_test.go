package dispatch_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"gatehouse/e2e/services"
	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
	"gatehouse/worker/dispatch"
	"gatehouse/worker/jobs"
)

// patience of the tests' waits: generous, because the machine may be busy with everything else.
const patience = 2 * time.Minute

// world is one of the two modes.
type world struct {
	dbURL     string
	brokerURL string // empty in the embedded mode
	db        *meta.DB
	tenant    string
}

// inEachMode runs the test with SQLite and the local doorbell, and with PostgreSQL and RabbitMQ.
func inEachMode(t *testing.T, test func(t *testing.T, w world)) {
	t.Run("embedded", func(t *testing.T) { test(t, newWorld(t, metatest.SQLiteURL(t), "")) })
	t.Run("distributed", func(t *testing.T) { test(t, newWorld(t, services.PostgresDSN(t), services.AMQPURL(t))) })
}

func newWorld(t *testing.T, dbURL, brokerURL string) world {
	w := world{dbURL: dbURL, brokerURL: brokerURL, db: metatest.Open(t, dbURL)}
	require.NoError(t, w.db.Migrate(context.Background()))
	w.tenant = metatest.Tenant(t, w.db, 1<<20)
	return w
}

// impatient makes a doorbell ring again soon, so that tests need not wait for minutes.
type impatient struct{ dispatch.Doorbell }

func (impatient) Patience() time.Duration { return time.Second }

func (w world) doorbell(t testing.TB) dispatch.Doorbell {
	t.Helper()
	bell, err := newDoorbell(w.brokerURL)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, bell.Close()) })
	return bell
}

func newDoorbell(brokerURL string) (dispatch.Doorbell, error) {
	if brokerURL == "" {
		return impatient{dispatch.NewLocal()}, nil
	}
	broker, err := dispatch.NewBroker(dispatch.BrokerConfig{URL: brokerURL}, slog.New(slog.DiscardHandler))
	return impatient{broker}, err
}

// quick are short times, and two slots in every lane.
func quick(worker string) dispatch.Config {
	lanes := map[storage.Lane]int{}
	for _, lane := range storage.Lanes {
		lanes[lane] = 2
	}
	return dispatch.Config{
		Worker: worker, Lease: 5 * time.Second, Heartbeat: 500 * time.Millisecond, PollInterval: 20 * time.Millisecond,
		MaxAttempts: 3, BackoffMin: 10 * time.Millisecond, BackoffMax: 50 * time.Millisecond, StopTimeout: 10 * time.Second,
		Lanes: lanes,
	}
}

// start runs a dispatcher until the test ends or stop is called, which returns what Run did.
func (w world) start(t *testing.T, cfg dispatch.Config, bell dispatch.Doorbell, periodic []jobs.Periodic, list ...jobs.Job) (stop func() error) {
	t.Helper()
	d, err := dispatch.New(cfg, w.db, bell, list, periodic, prometheus.NewRegistry(), slog.New(slog.NewTextHandler(t.Output(), nil)))
	require.NoError(t, err)
	return run(t, d)
}

func run(t *testing.T, d *dispatch.Dispatcher) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	var stopped atomic.Bool
	stop = func() error {
		stopped.Store(true)
		cancel()
		return <-ended
	}
	t.Cleanup(func() {
		if !stopped.Load() {
			require.NoError(t, stop())
		}
	})
	return stop
}

// enqueue queues n tasks and returns their ids.
func (w world) enqueue(t testing.TB, kind storage.TaskKind, n int) []string {
	t.Helper()
	subject := string(kind) + "-" + meta.NewID()
	require.NoError(t, w.db.InTx(context.Background(), func(tx *meta.Tx) error {
		for range n {
			if _, err := tx.Enqueue(meta.NewTask{Kind: kind, TenantID: w.tenant, Subject: subject}); err != nil {
				return err
			}
		}
		return nil
	}))
	tasks, err := w.db.Tenant(context.Background(), w.tenant).TasksAbout(subject)
	require.NoError(t, err)
	ids := make([]string, 0, n)
	for _, task := range tasks {
		ids = append(ids, task.ID)
	}
	require.Len(t, ids, n)
	return ids
}

func (w world) task(t testing.TB, id string) meta.Task {
	t.Helper()
	task, err := w.db.TaskBy(context.Background(), id)
	require.NoError(t, err)
	return task
}

// awaitAll waits until every task has that state.
func (w world) awaitAll(t testing.TB, ids []string, want storage.TaskState) {
	t.Helper()
	left := slices.Clone(ids) // asked for one by one, so that the asking does not load the database
	require.Eventually(t, func() bool {
		for len(left) > 0 {
			task, err := w.db.TaskBy(context.Background(), left[0])
			if err != nil || task.State != want {
				return false
			}
			left = left[1:]
		}
		return true
	}, patience, 25*time.Millisecond, "not all tasks became %s", want)
}

// committed counts how often a task's commit took effect: each leaves one event.
func (w world) committed(t testing.TB, id string) int {
	t.Helper()
	events, err := w.db.Tenant(context.Background(), w.tenant).Events(id, 0, 1000)
	require.NoError(t, err)
	return len(events)
}

func leaveEvent(r *jobs.Run) jobs.Commit {
	return func(tx *meta.Tx) error {
		return tx.Tenant(r.Task().TenantID).Record(r.Task().ID, storage.EventMedia, nil)
	}
}

// job makes one of kind scan.
func job(run func(ctx context.Context, r *jobs.Run) (jobs.Commit, error)) jobs.Job {
	return jobs.Job{Kind: storage.TaskScan, Timeout: time.Minute, Run: run}
}

func doneOnce(_ context.Context, r *jobs.Run) (jobs.Commit, error) { return leaveEvent(r), nil }

// closed waits for a signal of the code under test.
func closed(t testing.TB, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatal("never happened: " + what)
	}
}

func metricText(t testing.TB, reg *prometheus.Registry) string {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	var b strings.Builder
	for _, f := range families {
		b.WriteString(f.String())
		b.WriteByte('\n')
	}
	return b.String()
}
