package dispatch_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"gatehouse/e2e/services"
	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/worker/dispatch"
	"gatehouse/worker/jobs"
)

// The test program is also the worker that is killed: with these two variables it serves the lanes with jobs that
// never end.
const (
	envWorkerDB     = "GATEHOUSE_TEST_WORKER_DB"
	envWorkerBroker = "GATEHOUSE_TEST_WORKER_BROKER"
)

func TestMain(m *testing.M) {
	if dbURL := os.Getenv(envWorkerDB); dbURL != "" {
		if err := beAWorker(dbURL, os.Getenv(envWorkerBroker)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func beAWorker(dbURL, brokerURL string) error {
	db, err := meta.Open(context.Background(), meta.Config{URL: dbURL, MaxOpenConns: 5, BusyTimeout: 10 * time.Second})
	if err != nil {
		return err
	}
	bell, err := newDoorbell(brokerURL)
	if err != nil {
		return err
	}
	endless := job(func(ctx context.Context, r *jobs.Run) (jobs.Commit, error) {
		fmt.Println("running", r.Task().ID)
		<-ctx.Done()
		return nil, ctx.Err()
	})
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	d, err := dispatch.New(quick("doomed"), db, bell, []jobs.Job{endless}, nil, prometheus.NewRegistry(), log)
	if err != nil {
		return err
	}
	return d.Run(context.Background())
}

func TestTasksOfAKilledWorkerAreTakenUp(t *testing.T) {
	inEachMode(t, func(t *testing.T, w world) {
		ids := w.enqueue(t, storage.TaskScan, 8)
		exe, err := os.Executable()
		require.NoError(t, err)
		doomed := exec.Command(exe)
		doomed.Env = append(os.Environ(), envWorkerDB+"="+w.dbURL, envWorkerBroker+"="+w.brokerURL)
		doomed.Stderr = t.Output()
		out, err := doomed.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, doomed.Start())
		lines := bufio.NewScanner(out)
		for range 2 { // it has two slots
			require.True(t, lines.Scan())
			require.True(t, strings.HasPrefix(lines.Text(), "running "), lines.Text())
		}
		require.NoError(t, doomed.Process.Kill())
		require.Error(t, doomed.Wait())

		w.start(t, quick("heir"), w.doorbell(t), nil, job(doneOnce))
		w.awaitAll(t, ids, storage.TaskDone)
		again := 0
		for _, id := range ids {
			require.Equal(t, 1, w.committed(t, id))
			again += w.task(t, id).Attempts - 1
		}
		require.Equal(t, 2, again, "the two that were running took a second attempt")
	})
}

func TestTaskThatKillsEveryWorkerIsBuriedWithItsMeaning(t *testing.T) {
	inEachMode(t, func(t *testing.T, w world) {
		id := w.enqueue(t, storage.TaskScan, 1)[0]
		for range 3 { // workers that claim it and are never heard of again
			require.Eventually(t, func() bool {
				_, won, err := w.db.Claim(context.Background(), id, "doomed", -time.Second)
				return err == nil && won
			}, patience, 20*time.Millisecond)
			_, err := w.db.Reap(context.Background())
			require.NoError(t, err)
		}
		deadly := job(func(context.Context, *jobs.Run) (jobs.Commit, error) {
			t.Error("it is not tried a fourth time")
			return nil, nil
		})
		deadly.Dead = func(tx *meta.Tx, task meta.Task, _ error) error {
			return tx.Tenant(task.TenantID).Record(task.ID, storage.EventMedia, nil)
		}
		w.start(t, quick("one"), w.doorbell(t), nil, deadly)
		w.awaitAll(t, []string{id}, storage.TaskDead)
		require.Equal(t, 1, w.committed(t, id))
	})
}

func TestBrokerThatBreaksAndReturnsLosesNothing(t *testing.T) {
	w := newWorld(t, services.PostgresDSN(t), services.AMQPURL(t))
	cable := newCable(t, w.brokerURL)
	w.brokerURL = cable.url
	w.start(t, quick("one"), w.doorbell(t), nil, job(doneOnce))
	w.start(t, quick("two"), w.doorbell(t), nil, job(doneOnce))
	var all []string
	for range 4 {
		all = append(all, w.enqueue(t, storage.TaskScan, 100)...)
		cable.cut()
		all = append(all, w.enqueue(t, storage.TaskScan, 10)...)
		cable.mend()
	}
	w.awaitAll(t, all, storage.TaskDone)
	for _, id := range all {
		require.Equal(t, 1, w.committed(t, id))
	}
}

func TestPurgedAndDeletedQueuesLoseNothing(t *testing.T) {
	w := newWorld(t, services.PostgresDSN(t), services.AMQPURL(t))
	conn, err := amqp.Dial(w.brokerURL)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	ch, err := conn.Channel()
	require.NoError(t, err)

	bell := w.doorbell(t)
	ids := w.enqueue(t, storage.TaskScan, 50)
	rung, err := w.db.Ring(context.Background(), 0, 50)
	require.NoError(t, err)
	var rings []dispatch.Ring
	for _, task := range rung {
		rings = append(rings, dispatch.Ring{Lane: task.Lane, Task: task.ID})
	}
	unheard, err := bell.Ring(context.Background(), rings)
	require.NoError(t, err)
	require.Empty(t, unheard)
	purged, err := ch.QueuePurge("gatehouse.scan", false)
	require.NoError(t, err)
	require.Equal(t, 50, purged)

	_, err = ch.QueueDelete("gatehouse.scan", false, false, false)
	require.NoError(t, err)
	unheard, err = bell.Ring(context.Background(), rings[:3])
	require.ErrorContains(t, err, "returned", "a ring for a queue that is gone is not taken as heard")
	require.Len(t, unheard, 3)

	w.start(t, quick("one"), bell, nil, job(doneOnce))
	w.awaitAll(t, ids[:25], storage.TaskDone)
	_, err = ch.QueueDelete("gatehouse.scan", false, false, false)
	require.NoError(t, err)
	ids = append(ids, w.enqueue(t, storage.TaskScan, 50)...)
	w.awaitAll(t, ids, storage.TaskDone)
	for _, id := range ids {
		require.Equal(t, 1, w.committed(t, id))
	}
}

func TestUnreachableBrokerIsSaidAndLeavesTheTasksQueued(t *testing.T) {
	w := newWorld(t, services.PostgresDSN(t), services.AMQPURL(t))
	cable := newCable(t, w.brokerURL)
	cable.cut()
	broker, err := dispatch.NewBroker(dispatch.BrokerConfig{URL: cable.url}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	unheard, err := broker.Ring(context.Background(), []dispatch.Ring{{Lane: storage.LaneScan, Task: "x"}})
	require.Error(t, err)
	require.Equal(t, []string{"x"}, unheard)
	cable.mend()
	unheard, err = broker.Ring(context.Background(), []dispatch.Ring{{Lane: storage.LaneScan, Task: "x"}})
	require.NoError(t, err)
	require.Empty(t, unheard)
	require.NoError(t, broker.Close())
}

// cable is a TCP line to the broker that can be cut.
type cable struct {
	url    string
	target string

	mu    sync.Mutex
	whole bool
	conns map[net.Conn]bool
}

func newCable(t *testing.T, brokerURL string) *cable {
	u, err := url.Parse(brokerURL)
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	c := &cable{target: u.Host, whole: true, conns: map[net.Conn]bool{}}
	u.Host = l.Addr().String()
	c.url = u.String()
	go c.serve(l)
	t.Cleanup(func() { c.cut(); _ = l.Close() })
	return c
}

func (c *cable) serve(l net.Listener) {
	for {
		in, err := l.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", c.target)
		if err != nil || !c.plug(in, out) {
			_ = in.Close()
			continue
		}
		go c.carry(in, out)
		go c.carry(out, in)
	}
}

func (c *cable) carry(from, to net.Conn) {
	buf := make([]byte, 4096)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if _, werr := to.Write(buf[:n]); werr != nil {
				err = werr
			}
		}
		if err != nil {
			_ = from.Close()
			_ = to.Close()
			return
		}
	}
}

func (c *cable) plug(in, out net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.whole {
		_ = out.Close()
		return false
	}
	c.conns[in], c.conns[out] = true, true
	return true
}

func (c *cable) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.whole = false
	for conn := range c.conns {
		_ = conn.Close()
	}
	clear(c.conns)
}

func (c *cable) mend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.whole = true
}

func containsAll(s string, parts ...string) bool {
	// The text form of the metrics puts one or two spaces between fields, on purpose.
	s = strings.ReplaceAll(s, "  ", " ")
	for _, p := range parts {
		if !strings.Contains(s, p) {
			return false
		}
	}
	return true
}
