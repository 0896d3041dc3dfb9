package services

import (
	"fmt"
	"path/filepath"
	"testing"
)

// S3 is how a test reaches an S3 server. The endpoint is host:port, plain HTTP.
type S3 struct {
	Endpoint  string
	AccessKey string
	SecretKey string
}

// MinIO is the first S3 server. It is shared: a test makes buckets of its own and removes them.
func MinIO(t testing.TB) S3 {
	t.Helper()
	return S3{Endpoint: answering(t, "minio", minioPort), AccessKey: user, SecretKey: password}
}

// VersityGW is the second S3 server, shared like the first.
func VersityGW(t testing.TB) S3 {
	t.Helper()
	return S3{Endpoint: answering(t, "versitygw", versitygwPort), AccessKey: user, SecretKey: password}
}

// ClamdSocket is the path of the Unix socket of clamd. Its database knows EICAR (Eicar-Test-Signature) and the
// words GATEHOUSE-TEST-SIGNATURE (Gatehouse-Test-Signature); both names end in .UNOFFICIAL in its answers.
func ClamdSocket(t testing.TB) string {
	t.Helper()
	path := filepath.Join(dir(), "clamd", "clamd.sock")
	dial(t, "clamd", "unix", path)
	return path
}

// ClamdDatabase is the folder of clamd's signatures: their content is the fingerprint of a database that clamd
// itself cannot name.
func ClamdDatabase(t testing.TB) string {
	t.Helper()
	return filepath.Join(dir(), "clamd", "db")
}

// ClamdTCP is the address (host:port) of the same clamd.
func ClamdTCP(t testing.TB) string {
	t.Helper()
	return answering(t, "clamd", clamdPort)
}

// AMQPURL makes a virtual host of RabbitMQ for this test alone; it is deleted when the test ends. Each of the
// two takes about a second: the broker's tool starts an Erlang machine.
func AMQPURL(t testing.TB) string {
	t.Helper()
	addr := answering(t, "rabbitmq", rabbitmqPort)
	name := fresh()
	script(t, "rabbitmqctl", "-q", "eval", fmt.Sprintf(
		`ok = rabbit_vhost:add(<<"%[1]s">>, <<"%[2]s">>), `+
			`ok = rabbit_auth_backend_internal:set_permissions(<<"%[2]s">>, <<"%[1]s">>, <<".*">>, <<".*">>, <<".*">>, <<"%[2]s">>).`,
		name, user))
	t.Cleanup(func() { script(t, "rabbitmqctl", "-q", "delete_vhost", name) })
	return fmt.Sprintf("amqp://%s:%s@%s/%s", user, password, addr, name)
}
