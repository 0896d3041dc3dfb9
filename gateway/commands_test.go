package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"gatehouse/gateway/admin"
)

var update = flag.Bool("update", false, "write the golden files anew")

// terminal is a command line with a data folder of its own.
type terminal struct{ t *testing.T }

func newTerminal(t *testing.T) terminal {
	t.Setenv("GATEHOUSE_DATA_DIR", t.TempDir())
	return terminal{t}
}

// exited is how a parser ends the program in tests.
type exited int

// try runs a command and returns what it printed and how it failed, as people see it.
func (x terminal) try(args ...string) (out, problem string) {
	x.t.Helper()
	var buf bytes.Buffer
	c := cli{out: &buf}
	parser := newParser(context.Background(), &c)
	parser.Stdout, parser.Stderr = &buf, &buf
	parser.Exit = func(code int) { panic(exited(code)) }
	defer func() {
		if p := recover(); p != nil {
			require.Equal(x.t, exited(0), p)
			out = buf.String()
		}
	}()
	parsed, err := parser.Parse(args)
	if err == nil {
		err = parsed.Run(&c)
	}
	if err != nil {
		problem = sentence(err)
		if _, usage := errors.AsType[*kong.ParseError](err); usage {
			problem = "usage: " + problem
		}
	}
	return buf.String(), problem
}

func (x terminal) run(args ...string) string {
	x.t.Helper()
	out, problem := x.try(args...)
	require.Empty(x.t, problem, "%v", args)
	return out
}

// varying is what no two runs have in common.
var varying = map[string]*regexp.Regexp{
	"<id>":            regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`),
	"<link>":          regexp.MustCompile(`ghl_[\w-]{43}`),
	"<key>":           regexp.MustCompile(`ghk_[\w-]{43}`),
	"schema <number>": regexp.MustCompile(`schema \d{4}_\w+`),
	"<when>":          regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`),
}

// golden compares with the file of that name.
func golden(t *testing.T, name, got string) {
	t.Helper()
	for word, pattern := range varying {
		got = pattern.ReplaceAllString(got, word)
	}
	got = regexp.MustCompile(`[ \t]+\n`).ReplaceAllString(got, "\n")
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got, "write it anew with: go test ./gateway -update")
}

func TestHelp(t *testing.T) {
	x := newTerminal(t)
	var all strings.Builder
	for _, args := range []string{
		"", "tenant create", "tenant list", "tenant show", "tenant suspend", "tenant delete", "tenant purge", "tenant plan",
		"tenant quota", "tenant override", "plan show", "plan set", "plan create", "plan remove", "key create", "key list", "key revoke", "openapi",
		"task list", "task show", "task retry", "task cancel", "lane list", "lane pause", "lane resume",
	} {
		out, _ := x.try(append(strings.Fields(args), "--help")...)
		all.WriteString("$ gateway " + strings.TrimSpace(args+" --help") + "\n" + out + "\n")
	}
	golden(t, "help.txt", all.String())
}

func TestCommandsMakeNoDatabase(t *testing.T) {
	x := newTerminal(t)
	folder := filepath.Join(t.TempDir(), "mistyped")
	t.Setenv("GATEHOUSE_DATA_DIR", folder)
	for _, line := range []string{
		"tenant list", "tenant show demo", "plan list", "plan show free", "key list demo", "tenant create demo --plan free", "config print", "openapi",
	} {
		_, problem := x.try(strings.Fields(line)...)
		if line != "config print" && line != "openapi" {
			require.Contains(t, problem, "there is no database "+filepath.Join(folder, ""), line)
			require.Contains(t, problem, "gateway migrate", line)
		}
		require.NoDirExists(t, folder, line)
	}
}

// A tenant's life, as somebody at a terminal sees it.
func TestCommands(t *testing.T) {
	x := newTerminal(t)
	var all strings.Builder
	for line := range strings.Lines(`migrate
tenant create demo --plan pro
tenant create demo --plan pro
tenant create other --plan gold
tenant list
tenant quota demo 10GiB
tenant quota demo 10G
tenant override demo max_files=5 max_bytes.video=50MiB image_presets=w640,w320
tenant override demo --clear max_bytes.video --clear image_presets
tenant override demo nonsense=1
tenant override demo max_bytes=5
tenant override demo transcoding=perhaps
tenant override demo max_files=many
tenant override demo max_files=0
tenant override demo max_files=-5
tenant override demo max_files=unlimited
tenant override demo max_files=5
tenant override demo image_presets=w640,w999
tenant override demo video_presets=vp9
tenant override demo categories=images
tenant override demo max_bytes.images=5
tenant override demo max_video_height=99999
tenant override demo storage_bytes=5
tenant override demo --clear nosuch
tenant override demo --clear max_bytes.images
tenant override demo --clear max_files.x
tenant quota demo 0
tenant quota demo unlimited
tenant quota demo -- -1
tenant quota demo 10GiB
tenant override demo
tenant suspend demo --reason did-not-pay
tenant suspend demo
tenant show demo
tenant resume demo
tenant quota demo plan
tenant plan demo free
plan set free storage_bytes=2GiB retention_days=30
plan set free retention_days=30
plan set free storage_bytes=-1
plan set free storage_bytes=8192PiB
plan set free storage_bytes=unlimited max_files=unlimited
plan show free
plan set free storage_bytes=0
plan set free storage_bytes=2GiB max_files=5000 image_presets=w640,small
plan set free storage_bytes=2GiB max_files=5000
plan set free --clear nosuch
plan set free --clear storage_bytes
plan create small --like free
plan list
plan remove free
plan remove small
tenant delete demo --reason they-left
key create demo
tenant purge demo --confirm other
tenant purge demo --confirm demo
tenant restore demo
tenant restore demo
tenant show demo
tenant show nobody
key list demo
key revoke nothing
tenant list --state active
`) {
		line = strings.TrimSpace(line)
		out, problem := x.try(strings.Fields(line)...)
		all.WriteString("$ gateway " + line + "\n" + out)
		if problem != "" {
			all.WriteString("gateway: " + problem + "\n")
		}
	}
	golden(t, "commands.txt", all.String())
}

func TestCommandsPrintJSON(t *testing.T) {
	x := newTerminal(t)
	x.run("migrate")
	object := func(args ...string) (out map[string]any) {
		t.Helper()
		require.NoError(t, json.Unmarshal([]byte(x.run(append(args, "--json")...)), &out))
		return out
	}
	list := func(args ...string) (out []map[string]any) {
		t.Helper()
		require.NoError(t, json.Unmarshal([]byte(x.run(append(args, "--json")...)), &out))
		return out
	}
	require.Empty(t, list("tenant", "list"))
	made := object("tenant", "create", "demo", "--plan", "pro")
	require.Len(t, made, 2)
	require.Regexp(t, `^ghk_`, made["api_key"])

	shown := object("tenant", "show", "demo")
	require.Equal(t, made["tenant_id"], shown["id"])
	for _, key := range []string{
		"name", "plan", "state", "reason", "storage_quota_bytes", "storage_used_bytes", "storage_reserved_bytes", "files", "overrides", "keys", "created_at",
	} {
		require.Contains(t, shown, key)
	}
	require.Equal(t, map[string]any{
		"tenant_id": made["tenant_id"], "name": "demo", "what": "quota", "before": "plan", "after": float64(1 << 20),
	}, object("tenant", "quota", "demo", "1MiB"))
	require.Equal(t, "suspended", object("tenant", "suspend", "demo")["after"])
	require.NotEmpty(t, object("tenant", "delete", "demo")["delete_after"])
	require.Len(t, list("plan", "list"), 4)
	require.Equal(t, "pro", object("plan", "show", "pro")["name"])
	require.Equal(t, float64(5), object("plan", "set", "pro", "max_files=5")["after"].(map[string]any)["max_files"])
	require.Equal(t, "mine", object("plan", "create", "mine", "--like", "pro")["name"])
	keys := list("key", "list", "demo")
	require.Len(t, keys, 1)
	require.Equal(t, "revoked", object("key", "revoke", keys[0]["id"].(string))["after"])
	require.Len(t, list("tenant", "list", "--state", "pending_delete"), 1)
	require.Empty(t, list("tenant", "list", "--state", "active"))
}

// Nobody knows a quota whose plan has no record: it is not shown as none.
func TestLostPlanIsShownAsLost(t *testing.T) {
	for _, x := range []struct {
		tenant admin.Tenant
		quota  []string
	}{
		{admin.Tenant{Plan: "gold", PlanMissing: true}, []string{"storage_quota_bytes", "-", ""}},
		{admin.Tenant{Plan: "gold", PlanMissing: true, OwnQuota: true, QuotaBytes: 1024}, []string{"storage_quota_bytes", "1024 (1.0 KiB)", "its own"}},
	} {
		rows, err := tenantRows(x.tenant)
		require.NoError(t, err)
		require.Contains(t, rows, []string{"plan", "gold", "has no record"})
		require.Contains(t, rows, x.quota)
	}
}
