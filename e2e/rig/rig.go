package rig

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/e2e/services"
)

// Rig is a running Gatehouse: some gateways and workers on one database and one store.
type Rig struct {
	T        testing.TB
	Dir      string
	Env      map[string]string
	Gateways []*Process
	Workers  []*Process
	// URLs are the gateways' base URLs, in their order.
	URLs []string
}

// Options change what is started. The zero value is one gateway and one worker with the defaults.
type Options struct {
	// Gateways is how many to start; zero means one.
	Gateways int
	// Workers is how many to start; zero means one, NoWorkers none.
	Workers int
	// Env adds to or replaces configuration variables (GATEHOUSE_...).
	Env map[string]string
}

// NoWorkers as Options.Workers leaves every task undone.
const NoWorkers = -1

// readyPatience is how long a start may take on a machine that is busy with other tests.
const readyPatience = 90 * time.Second

// Embedded starts both programs on one folder: SQLite, disk, no broker, the worker's own clamd.
func Embedded(t testing.TB, o Options) *Rig {
	return start(t, o, map[string]string{})
}

// Distributed starts the programs on the real services: PostgreSQL, MinIO, RabbitMQ, clamd over its socket.
func Distributed(t testing.TB, o Options) *Rig { return start(t, o, Services(t)) }

// Services is the configuration, in variables, of an installation on the real services that nobody else uses.
func Services(t testing.TB) map[string]string {
	minio := services.MinIO(t)
	suffix := strings.ToLower(rand.Text()[:10])
	return map[string]string{
		"GATEHOUSE_DATABASE_URL":               services.PostgresDSN(t),
		"GATEHOUSE_STORE_DRIVER":               "s3",
		"GATEHOUSE_STORE_S3_ENDPOINT":          minio.Endpoint,
		"GATEHOUSE_STORE_S3_ACCESS_KEY":        minio.AccessKey,
		"GATEHOUSE_STORE_S3_SECRET_KEY":        minio.SecretKey,
		"GATEHOUSE_STORE_S3_USE_TLS":           "false",
		"GATEHOUSE_STORE_S3_QUARANTINE_BUCKET": "q-" + suffix,
		"GATEHOUSE_STORE_S3_CLEAN_BUCKET":      "c-" + suffix,
		"GATEHOUSE_STORE_S3_SNAPSHOT_BUCKET":   "s-" + suffix,
		"GATEHOUSE_STORE_S3_AUDIT_BUCKET":      "a-" + suffix,
		"GATEHOUSE_BROKER_URL":                 services.AMQPURL(t),
		"GATEHOUSE_SCANNER_ADDRESS":            "unix://" + services.ClamdSocket(t),
		"GATEHOUSE_SCANNER_DATABASE_DIR":       services.ClamdDatabase(t),
		"GATEHOUSE_AUTH_LINK_SECRET":           strings.Repeat("not-a-real-secret-", 3),
		"GATEHOUSE_AUTH_OPERATOR_KEY":          strings.Repeat("0f", 32),
		"GATEHOUSE_AUDIT_SIGNING_KEY":          strings.Repeat("a5", 32),
	}
}

func start(t testing.TB, o Options, mode map[string]string) *Rig {
	t.Helper()
	r := &Rig{T: t, Dir: t.TempDir(), Env: map[string]string{
		"GATEHOUSE_LOG_LEVEL":              "debug",
		"GATEHOUSE_HTTP_ADDR":              freeAddr(t),
		"GATEHOUSE_WORKER_HTTP_ADDR":       "",
		"GATEHOUSE_TASKS_LEASE":            "6s",
		"GATEHOUSE_TASKS_HEARTBEAT":        "2s",
		"GATEHOUSE_TASKS_BACKOFF_MIN":      "200ms",
		"GATEHOUSE_TASKS_BACKOFF_MAX":      "5s",
		"GATEHOUSE_SCANNER_READY_INTERVAL": "5s",
		"GATEHOUSE_HTTP_SHUTDOWN_TIMEOUT":  "20s",
	}}
	r.Env["GATEHOUSE_DATA_DIR"] = filepath.Join(r.Dir, "data")
	maps.Copy(r.Env, mode)
	maps.Copy(r.Env, o.Env)
	r.Gateway("migrate")
	for range max(1, o.Gateways) {
		r.AddGateway()
	}
	if o.Workers != NoWorkers {
		for range max(1, o.Workers) {
			r.AddWorker()
		}
	}
	return r
}

// AddGateway starts one more gateway and waits until it is ready.
func (r *Rig) AddGateway() *Process {
	r.T.Helper()
	addr := freeAddr(r.T)
	p := newProcess(r.T, r.Dir, fmt.Sprintf("gateway%d", len(r.Gateways)), gatewayProgram.built(r.T),
		append(r.environ(), "GATEHOUSE_HTTP_ADDR="+addr), "serve")
	p.Start()
	r.Gateways = append(r.Gateways, p)
	r.URLs = append(r.URLs, "http://"+addr)
	r.WaitReady(len(r.URLs) - 1)
	return p
}

// AddWorker starts one more worker.
func (r *Rig) AddWorker() *Process {
	r.T.Helper()
	p := newProcess(r.T, r.Dir, fmt.Sprintf("worker%d", len(r.Workers)), workerProgram.built(r.T), r.environ(), "run")
	p.Start()
	r.Workers = append(r.Workers, p)
	return p
}

// WaitReady waits until a gateway takes uploads.
func (r *Rig) WaitReady(gateway int) {
	r.T.Helper()
	var last string
	for end := time.Now().Add(readyPatience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		resp, err := http.Get(r.URLs[gateway] + "/readyz")
		if err != nil {
			last = err.Error()
			continue
		}
		_ = resp.Body.Close()
		if last = resp.Status; resp.StatusCode == http.StatusOK {
			return
		}
	}
	r.T.Fatalf("gateway %d is not ready: %s", gateway, last)
}

// Gateway runs a command of the gateway to its end and returns what it prints.
func (r *Rig) Gateway(args ...string) string { return r.run(gatewayProgram.built(r.T), args...) }

// Worker runs a command of the worker to its end.
func (r *Rig) Worker(args ...string) string { return r.run(workerProgram.built(r.T), args...) }

func (r *Rig) run(program string, args ...string) string {
	r.T.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = r.environ()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		r.T.Fatalf("%s %s: %v\n%s", filepath.Base(program), strings.Join(args, " "), err, errs.String())
	}
	return out.String()
}

// GatewayFails runs a command of the gateway that must fail, and returns what it says.
func (r *Rig) GatewayFails(args ...string) string {
	r.T.Helper()
	cmd := exec.Command(gatewayProgram.built(r.T), args...)
	cmd.Env = r.environ()
	out, err := cmd.CombinedOutput()
	if _, ended := errors.AsType[*exec.ExitError](err); !ended {
		r.T.Fatalf("gateway %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// WorkerFails runs a command of the worker that must fail, and returns what it says.
func (r *Rig) WorkerFails(args ...string) string {
	r.T.Helper()
	code, out := r.WorkerExit(args...)
	if code == 0 {
		r.T.Fatalf("worker %s succeeded:\n%s", strings.Join(args, " "), out)
	}
	return out
}

// WorkerExit runs a command of the worker that may fail, and returns its exit code and what it says.
func (r *Rig) WorkerExit(args ...string) (int, string) {
	r.T.Helper()
	cmd := exec.Command(workerProgram.built(r.T), args...)
	cmd.Env = r.environ()
	out, err := cmd.CombinedOutput()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		r.T.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// Tenant creates a tenant and returns a client with its key, on the first gateway.
func (r *Rig) Tenant(name, plan string) *Client {
	r.T.Helper()
	var made struct {
		TenantID string `json:"tenant_id"`
		APIKey   string `json:"api_key"`
	}
	if err := json.Unmarshal([]byte(r.Gateway("tenant", "create", name, "--plan", plan, "--json")), &made); err != nil {
		r.T.Fatal(err)
	}
	return &Client{T: r.T, URL: r.URLs[0], Key: made.APIKey, TenantID: made.TenantID}
}

// environ is the programs' environment: the configuration and what Go and libraries need, nothing else.
func (r *Rig) environ() []string {
	out := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
	for _, k := range slices.Sorted(maps.Keys(r.Env)) {
		out = append(out, k+"="+r.Env[k])
	}
	return out
}

func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}
