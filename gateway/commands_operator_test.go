package main

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/configs"
	"gatehouse/gateway/auth/operator"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
)

// Operators and their networks, as somebody at a terminal sees them.
func TestOperatorCommands(t *testing.T) {
	x := newTerminal(t)
	var all strings.Builder
	for line := range strings.Lines(`operator --help
operator create --help
operator networks --help
migrate
operator list
operator create Alex --role super --reason first-one
operator create alex --role ops
operator create a --role ops
operator create blake --role boss
operator create blake --role ops
operator list
operator networks
networks-by-api
operator networks
operator networks clear --reason locked-out
operator networks
operator reset alex
operator unlock alex
operator deactivate blake
operator reset blake
operator deactivate alex
operator deactivate nobody
operator list
audit --action operator
`) {
		line = strings.TrimSpace(line)
		if line == "networks-by-api" {
			addNetwork(t, "192.0.2.0/24")
			continue
		}
		out, problem := x.try(strings.Fields(line)...)
		all.WriteString("$ gateway " + line + "\n" + out)
		if problem != "" {
			all.WriteString("gateway: " + problem + "\n")
		}
	}
	golden(t, "operator.txt", all.String())
}

func addNetwork(t *testing.T, cidr string) {
	t.Helper()
	db, err := meta.Open(t.Context(), meta.Config{URL: "sqlite://" + filepath.Join(os.Getenv("GATEHOUSE_DATA_DIR"), "gatehouse.db")})
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	d, err := operator.NewDesk(db, make([]byte, operator.KeyBytes))
	require.NoError(t, err)
	_, err = d.AddNetwork(t.Context(), audit.CLI, "", cidr, "office", netip.MustParseAddr("192.0.2.1"), false)
	require.NoError(t, err)
}

// The link that is printed lets its owner in, and the key that was made on the way is the one that gateways find.
func TestPrintedLinkWorks(t *testing.T) {
	x := newTerminal(t)
	t.Setenv("GATEHOUSE_HTTP_PUBLIC_URL", "https://files.example.com")
	x.run("migrate")
	var made struct{ Link, URL string }
	require.NoError(t, json.Unmarshal([]byte(x.run("operator", "create", "alex", "--role", "super", "--json")), &made))
	require.Equal(t, "https://files.example.com/api/admin/auth/setup", made.URL)
	cfg, err := configs.Load(configs.ForGateway, "", os.Environ())
	require.NoError(t, err)
	key, err := cfg.OperatorKey()
	require.NoError(t, err)
	db, err := meta.Open(t.Context(), meta.Config{URL: cfg.DatabaseURL()})
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	d, err := operator.NewDesk(db, key)
	require.NoError(t, err)
	ticket, err := d.SetUp(t.Context(), operator.Caller{Address: netip.MustParseAddr("192.0.2.1")}, made.Link, "Kelp7-Anvil-Quorum")
	require.NoError(t, err)
	require.Equal(t, operator.StageEnroll, ticket.Principal.Stage)
}
