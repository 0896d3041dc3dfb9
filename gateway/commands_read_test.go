package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// rejected gives a tenant a rejected file, as an upload and its scan leave it.
func rejected(t *testing.T, tenant, name string) {
	t.Helper()
	db, err := meta.Open(t.Context(), meta.Config{URL: "sqlite://" + filepath.Join(os.Getenv("GATEHOUSE_DATA_DIR"), "gatehouse.db")})
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	now, digest := meta.Now(), strings.Repeat("a", 64-len(name))+strings.Repeat("b", len(name))
	require.NoError(t, db.InTx(context.Background(), func(tx *meta.Tx) error {
		_, err := tx.Tenant(tenant).CreateBlob(&meta.Blob{
			SHA256: digest, Size: 4, MediaType: "text/plain", Category: storage.CategoryDocument, Zone: storage.ZoneQuarantine, Refs: 1,
			ScanStatus: storage.ScanInfected, ScanSignature: "Eicar-Test", MediaStatus: storage.MediaNone, CreatedAt: now, UpdatedAt: now,
		})
		if err != nil {
			return err
		}
		return tx.Tenant(tenant).CreateAsset(&meta.Asset{
			ID: meta.NewID(), SHA256: digest, Name: name, Ext: "txt", Category: storage.CategoryDocument, MediaType: "text/plain", Size: 4,
			State: storage.AssetRejected, CreatedAt: now, UpdatedAt: now,
		})
	}))
}

// What operators read without changing anything: the files of a tenant, and the audit log.
func TestReadingCommands(t *testing.T) {
	x := newTerminal(t)
	x.run("migrate")
	var made struct {
		TenantID string `json:"tenant_id"`
	}
	require.NoError(t, json.Unmarshal([]byte(x.run("tenant", "create", "demo", "--plan", "pro", "--json")), &made))
	for _, name := range []string{"first.txt", "sec\u202eond.txt"} {
		rejected(t, made.TenantID, name)
	}
	var all strings.Builder
	for line := range strings.Lines(`asset list --help
audit --help
asset list demo
asset list demo --state rejected --limit 1
asset list demo --state available
asset list nobody
asset list demo --limit 0
tenant suspend demo --reason did-not-pay
tenant delete demo --reason they-left
tenant restore demo --reason they-are-back
tenant quota demo 1GiB --reason ticket-1
tenant plan demo free --reason ticket-2
tenant override demo max_files=7 --reason ticket-3
tenant override demo max_bytes.video=900MiB max_bytes.image=1MiB
tenant show demo
plan set free max_files=9 --reason ticket-4
plan create mine --like free --reason ticket-5
plan remove mine --reason ticket-6
key create demo --name second --reason ticket-7 --json
audit --limit 10
audit --tenant demo --action tenant --since 1d
audit --action tenant.suspend
audit --action tenan
audit --tenant nobody
audit --since yesterday
audit --limit 10001
`) {
		line = strings.TrimSpace(line)
		out, problem := x.try(strings.Fields(line)...)
		all.WriteString("$ gateway " + line + "\n" + out)
		if problem != "" {
			all.WriteString("gateway: " + problem + "\n")
		}
	}
	golden(t, "read.txt", all.String())
	var keys []map[string]any
	require.NoError(t, json.Unmarshal([]byte(x.run("key", "list", "demo", "--json")), &keys))
	id := keys[1]["id"].(string)
	require.Equal(t, "demo: key "+id+" (second) valid -> revoked\n", x.run("key", "revoke", id))
	require.Contains(t, x.run("tenant", "show", "demo"), "did-not-pay", "restored into its suspension, with the reason of that")

	var page, rest []map[string]any
	require.NoError(t, json.Unmarshal([]byte(x.run("asset", "list", "demo", "--limit", "1", "--json")), &page))
	require.NoError(t, json.Unmarshal([]byte(x.run("asset", "list", "demo", "--before", page[0]["id"].(string), "--json")), &rest))
	require.Equal(t, []string{"sec\u202eond.txt", "first.txt"}, []string{page[0]["name"].(string), rest[0]["name"].(string)})
	require.Len(t, rest, 1)

	var records []map[string]any
	require.NoError(t, json.Unmarshal([]byte(x.run("audit", "--tenant", made.TenantID, "--action", "tenant.suspend", "--json")), &records))
	require.Len(t, records, 1)
	require.Equal(t, "did-not-pay", records[0]["data"].(map[string]any)["reason"])
	require.Equal(t, "demo", records[0]["tenant"])
	require.Equal(t, "[]\n", x.run("audit", "--since", time.Now().Add(time.Hour).UTC().Format(time.RFC3339), "--json"))
}
