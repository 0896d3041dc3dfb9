package alerts

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
	"gatehouse/storage/snapshot"
)

// allIsWrong makes a system in which every rule fires.
func allIsWrong(t *testing.T) *bench {
	t.Helper()
	b := newBench(t, metatest.SQLite(t), logTo("log"), ChannelConfig{Name: "hook", Kind: KindLog})
	b.rules = append(b.rules, Rule{Name: ruleSnapshotGone, Find: snapshotGone(func(context.Context, string) error { return snapshot.ErrNotFound })})
	b.inTx(t, func(tx *meta.Tx) error { // the system is not new
		return tx.Create(&meta.AuditRecord{At: meta.StampOf(b.clock.now().Add(-48 * time.Hour)), Action: "tenant.create", Result: audit.OK, Data: "{}"})
	})
	tenant, flooded := metatest.Tenant(t, b.db, 1000), metatest.Tenant(t, b.db, 1000)
	b.upload(t, tenant, storage.ScanInfected)
	b.exec(t, "UPDATE blobs SET damage = 'digest', damaged_at = 5 WHERE tenant_id = ?", tenant)
	b.verdicts(t, flooded, 0, 30)
	for range 3 {
		b.audit(t, audit.Entry{Actor: audit.CLI, TenantID: tenant, Action: "asset.upload", Result: audit.Refused, Code: string(storage.CodeNotFound)})
	}
	b.exec(t, "UPDATE tenants SET used_bytes = 990 WHERE id = ?", tenant)
	now := meta.StampOf(b.clock.now())
	dead := b.task(t, storage.TaskImage, storage.TaskDead, now)
	b.exec(t, "UPDATE tasks SET tenant_id = ? WHERE id = ?", tenant, dead)
	b.task(t, storage.TaskScan, storage.TaskQueued, now.Add(-time.Hour))
	b.scannerSays(t, meta.ScannerFact{Host: "host-1", Problem: "connection refused", UnreadySince: now.Add(-time.Hour), TestSignatures: true})
	b.scannerSays(t, meta.ScannerFact{Host: "host-2", Ready: true, Database: "daily:27800/" + b.clock.now().Add(-240*time.Hour).UTC().Format(time.ANSIC)})
	b.run(t, meta.RunFull, -time.Hour, "[]", meta.FindingMarked, map[string]int{tenant: 2})
	b.run(t, meta.RunLight, -time.Minute, `["`+tenant+`"]`, meta.FindingOpen, map[string]int{tenant: 1})
	failed := b.run(t, meta.RunFull, -2*time.Second, "[]", "", nil)
	b.exec(t, "UPDATE reconcile_runs SET state = 'failed', problem = 'the store is away.' WHERE id = ?", failed)
	held := b.run(t, meta.RunFull, -time.Second, `["`+flooded+`"]`, "", nil)
	b.exec(t, "UPDATE reconcile_runs SET state = 'held', problem = 'It would touch too much.' WHERE id = ?", held)
	require.NoError(t, b.db.SetDisks(t.Context(), meta.DiskFact{Program: "worker", Host: "host-1", At: now, Disks: []meta.DiskUse{
		{Uses: []string{"store"}, Path: "/srv/a b", Mount: "/srv/a b", Total: 1000, Used: 990, Free: 10, Files: 9, FilesFree: 9},
	}}))
	b.operatorsMisbehave(t)
	b.releasesGoWrong(t)
	b.cfg.Limits.DatabaseMaxBytes = 1
	b.inTx(t, func(tx *meta.Tx) error {
		return errors.Join(
			snapshot.Record(tx, snapshot.Manifest{ID: "s-1", CreatedAt: b.clock.now().Add(-48 * time.Hour)}, audit.Worker),
			tx.AddNotice(meta.Notice{ID: meta.NewID(), AlertID: meta.NewID(), Channel: "hook", Body: "{}", CreatedAt: now, EndedAt: now, Problem: "HTTP 500: down."}),
		)
	})
	return b
}

var (
	inTicks = regexp.MustCompile("`([^`]+)`")
	ids     = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}`)
	numbers = regexp.MustCompile(`(?:^|[^0-9.])1 (files|tenants|tasks|uploads|messages|differences|findings|repairs|are|were|have)\b`)
	times   = regexp.MustCompile(`\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d)?[^\s,;.]*`)
)

// Each rule's message names a command that there is, with flags that it has; it gives times in one format, and a tenant by
// name and id.
func TestEveryRuleNamesACommand(t *testing.T) {
	b := allIsWrong(t)
	list := b.openNow(t)
	fired := map[string]bool{}
	bin := t.TempDir()
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin+"/", "gatehouse/worker", "gatehouse/gateway").CombinedOutput()
	require.NoError(t, err, "%s", out)
	tried := map[string]bool{}
	for _, a := range list {
		t.Log(a.Rule+":", a.Message)
		fired[a.Rule] = true
		commands := inTicks.FindAllStringSubmatch(a.Message, -1)
		require.NotEmpty(t, commands, a.Message)
		for _, c := range commands {
			command := ids.ReplaceAllString(c[1], "ID")
			if tried[command] {
				continue
			}
			tried[command] = true
			require.NoError(t, commandThere(t, bin, strings.Fields(command)), command)
		}
		require.NotRegexp(t, numbers, a.Message)
		require.NotContains(t, a.Message, "..")
		require.NotContains(t, a.Message, "0001-01-01")
		for _, at := range times.FindAllString(ids.ReplaceAllString(a.Message, ""), -1) {
			_, err := time.Parse("2006-01-02T15:04:05Z", strings.TrimSuffix(at, ":"))
			require.NoError(t, err, a.Message)
		}
		if a.TenantID != "" {
			require.Contains(t, a.Message, `enant "tenant-`+a.TenantID+`" (`+a.TenantID+")")
			require.Contains(t, a.Data, `"tenant":"tenant-`)
		}
		require.Less(t, len(a.Message), messageBytes, "nothing is cut off")
	}
	for _, name := range RuleNames() {
		require.True(t, fired[name] || name == ruleAuditCheckpoint, name) // a checkpoint is told, and no trouble
	}
}

// commandThere asks a program of ours for help on a command, which fails when it has no such command or flag. Those of the
// system are looked for.
func commandThere(t *testing.T, bin string, words []string) error {
	if !slices.Contains([]string{"worker", "gateway"}, words[0]) {
		_, err := exec.LookPath(words[0])
		return err
	}
	out, err := exec.CommandContext(t.Context(), filepath.Join(bin, words[0]), append(words[1:], "--help")...).CombinedOutput()
	if usage := "Usage: " + strings.Join(until(words, "ID", "BYTES", "PLAN", "hook", "--"), " "); err == nil && !strings.HasPrefix(string(out), usage) {
		return errors.New("this is not its help: " + string(out))
	}
	return err
}

// until gives the words before an argument or flag.
func until(words []string, ends ...string) []string {
	for i, w := range words {
		if slices.ContainsFunc(ends, func(e string) bool { return strings.HasPrefix(w, e) }) {
			return words[:i]
		}
	}
	return words
}

func TestPlural(t *testing.T) {
	require.Equal(t, "1 file", plural(1, "file", "files"))
	require.Equal(t, "0 files", plural(0, "file", "files"))
	require.Equal(t, "'/a b'\\''c'", quoted("/a b'c"))
	require.Equal(t, "/srv/a-1", quoted("/srv/a-1"))
}
