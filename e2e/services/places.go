package services

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// The account and the unshifted ports of every service, as scripts/services.sh sets them.
const (
	user     = "gatehouse"
	password = "gatehouse-test"

	postgresPort  = 25432
	mariadbPort   = 23306
	rabbitmqPort  = 25673
	minioPort     = 29000
	versitygwPort = 27070
	clamdPort     = 23310
)

// hint ends every failure that means "nobody answers".
const hint = "start the test services with: scripts/services.sh up"

// dir is the folder the services live in.
func dir() string {
	if d := os.Getenv("GATEHOUSE_TEST_DIR"); d != "" {
		return d
	}
	return fmt.Sprintf("/tmp/gatehouse-test-%d", os.Getuid())
}

// address is where a service listens, given its unshifted port.
func address(t testing.TB, port int) string {
	t.Helper()
	shift := 0
	if s := os.Getenv("GATEHOUSE_TEST_PORT_SHIFT"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatalf("GATEHOUSE_TEST_PORT_SHIFT must be a number: %v", err)
		}
		shift = n
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port+shift))
}

// answering is address for a service that accepts connections; otherwise the test fails.
func answering(t testing.TB, name string, port int) string {
	t.Helper()
	addr := address(t, port)
	dial(t, name, "tcp", addr)
	return addr
}

func dial(t testing.TB, name, network, addr string) {
	t.Helper()
	conn, err := net.DialTimeout(network, addr, 5*time.Second)
	if err != nil {
		t.Fatalf("%s does not answer (%v); %s", name, err, hint)
	}
	_ = conn.Close()
}

// Control runs scripts/services.sh ACTION NAME (start, stop, restart or kill) and fails the test when that fails.
func Control(t testing.TB, action, name string) {
	t.Helper()
	script(t, action, name)
}

// script runs scripts/services.sh and returns what it printed.
func script(t testing.TB, args ...string) string {
	t.Helper()
	out, err := runScript(args...)
	if err != nil {
		t.Fatalf("scripts/services.sh %v: %v: %s; %s", args, err, out, hint)
	}
	return out
}

func runScript(args ...string) (string, error) {
	root, err := repository()
	if err != nil {
		return "", err
	}
	out, err := exec.Command(filepath.Join(root, "scripts", "services.sh"), args...).CombinedOutput()
	return string(out), err
}

// repository is the folder of go.mod, found upwards from where the test runs.
func repository() (string, error) {
	at, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the repository: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(at, "go.mod")); err == nil {
			return at, nil
		}
		up := filepath.Dir(at)
		if up == at {
			return "", fmt.Errorf("find the repository: no go.mod above the working folder")
		}
		at = up
	}
}
