package services_test

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"gatehouse/e2e/services"
)

func TestDatabasesAreFreshAndDropped(t *testing.T) {
	ctx := t.Context()
	var first string
	t.Run("first", func(t *testing.T) {
		first = services.PostgresDSN(t)
		conn, err := pgx.Connect(ctx, first)
		require.NoError(t, err)
		defer func() { _ = conn.Close(context.Background()) }()
		_, err = conn.Exec(ctx, "CREATE TABLE t (id int)")
		require.NoError(t, err)
	})
	require.NotEqual(t, first, services.PostgresDSN(t))
	_, err := pgx.Connect(ctx, first)
	require.ErrorContains(t, err, "does not exist")

	require.True(t, strings.HasPrefix(services.MySQLDSN(t), "mysql://"))
}

func TestBroker(t *testing.T) {
	conn, err := amqp.Dial(services.AMQPURL(t))
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	ch, err := conn.Channel()
	require.NoError(t, err)
	_, err = ch.QueueDeclare("q", true, false, false, false, amqp.Table{"x-queue-type": "quorum"})
	require.NoError(t, err)
}

func TestObjectStores(t *testing.T) {
	for name, s3 := range map[string]services.S3{"minio": services.MinIO(t), "versitygw": services.VersityGW(t)} {
		t.Run(name, func(t *testing.T) {
			client, err := minio.New(s3.Endpoint, &minio.Options{Creds: credentials.NewStaticV4(s3.AccessKey, s3.SecretKey, "")})
			require.NoError(t, err)
			_, err = client.ListBuckets(t.Context())
			require.NoError(t, err)
		})
	}
}

// Both ways to clamd find the made-up signature.
func TestScanner(t *testing.T) {
	for network, addr := range map[string]string{"unix": services.ClamdSocket(t), "tcp": services.ClamdTCP(t)} {
		conn, err := net.Dial(network, addr)
		require.NoError(t, err)
		require.NoError(t, conn.SetDeadline(time.Now().Add(time.Minute)))
		_, err = io.WriteString(conn, "zINSTREAM\x00\x00\x00\x00\x18GATEHOUSE-TEST-SIGNATURE\x00\x00\x00\x00")
		require.NoError(t, err)
		reply, err := io.ReadAll(conn)
		require.NoError(t, err)
		require.Equal(t, "stream: Gatehouse-Test-Signature.UNOFFICIAL FOUND\x00", string(reply))
		require.NoError(t, conn.Close())
	}
}
