// Package services leads tests to the real services that scripts/services.sh starts: PostgreSQL, MariaDB,
// RabbitMQ, MinIO, versitygw and clamd. Only tests and the benchmark import it.
//
// Each helper hands out something fresh (a database, a broker's virtual host) and removes it when the test
// ends. A service that does not answer fails the test; nothing is ever skipped.
//
// The places follow the same two variables as the script, with the same defaults: GATEHOUSE_TEST_DIR, the
// folder of the services, and GATEHOUSE_TEST_PORT_SHIFT, which is added to every port.
package services
