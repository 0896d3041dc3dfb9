package meta_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// TestAuditSearch compares every filter, and every two of them, with a search by hand.
func TestAuditSearch(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		ctx := context.Background()
		const minute = meta.Stamp(60 * 1e6)
		start := meta.Now() - 10000*minute
		var all []meta.AuditRecord
		for i := range 240 {
			r := meta.AuditRecord{
				At: start + meta.Stamp(i)*minute, ActorKind: []string{"key", "worker", "operator"}[i%3], TenantID: fmt.Sprintf("t%d", i%4),
				Action: []string{"asset.upload", "asset.delete", "tenant.create", "assets.x", "scan.verdict"}[i%5], Target: fmt.Sprintf("target%d", i%7),
				Result: "ok", Data: "{}",
			}
			if i%3 != 1 {
				r.ActorID, r.Address, r.RequestID = fmt.Sprintf("id%d", i%6), fmt.Sprintf("10.0.0.%d", i%5), fmt.Sprintf("r%d", i)
			}
			if i%3 == 2 {
				r.ActorRole = "ops"
			}
			if i%8 == 0 {
				r.Result, r.Code = "refused", "FORBIDDEN"
			}
			if i%50 == 7 {
				r.At -= 4 * minute // numbered late
			}
			all = append(all, r)
		}
		told(t, db, all...)
		list, err := db.AuditLog(ctx, meta.AuditFilter{}, 1000)
		require.NoError(t, err)
		require.Len(t, list, len(all))
		all = list

		filters := map[string]struct {
			set   func(*meta.AuditFilter)
			match func(meta.AuditRecord) bool
		}{
			"tenant":     {func(f *meta.AuditFilter) { f.TenantID = "t1" }, func(r meta.AuditRecord) bool { return r.TenantID == "t1" }},
			"action":     {func(f *meta.AuditFilter) { f.Action = "asset.delete" }, func(r meta.AuditRecord) bool { return r.Action == "asset.delete" }},
			"family":     {func(f *meta.AuditFilter) { f.Action = "asset" }, func(r meta.AuditRecord) bool { return strings.HasPrefix(r.Action, "asset.") }},
			"no action":  {func(f *meta.AuditFilter) { f.Action = "ass" }, func(meta.AuditRecord) bool { return false }},
			"kind":       {func(f *meta.AuditFilter) { f.ActorKind = "operator" }, func(r meta.AuditRecord) bool { return r.ActorKind == "operator" }},
			"actor":      {func(f *meta.AuditFilter) { f.ActorID = "id3" }, func(r meta.AuditRecord) bool { return r.ActorID == "id3" }},
			"role":       {func(f *meta.AuditFilter) { f.Role = "ops" }, func(r meta.AuditRecord) bool { return r.ActorRole == "ops" }},
			"target":     {func(f *meta.AuditFilter) { f.Target = "target2" }, func(r meta.AuditRecord) bool { return r.Target == "target2" }},
			"result":     {func(f *meta.AuditFilter) { f.Result = "ok" }, func(r meta.AuditRecord) bool { return r.Result == "ok" }},
			"refused":    {func(f *meta.AuditFilter) { f.Result = "refused" }, func(r meta.AuditRecord) bool { return r.Result == "refused" }},
			"code":       {func(f *meta.AuditFilter) { f.Code = "FORBIDDEN" }, func(r meta.AuditRecord) bool { return r.Code == "FORBIDDEN" }},
			"address":    {func(f *meta.AuditFilter) { f.Address = "10.0.0.2" }, func(r meta.AuditRecord) bool { return r.Address == "10.0.0.2" }},
			"request":    {func(f *meta.AuditFilter) { f.RequestID = "r33" }, func(r meta.AuditRecord) bool { return r.RequestID == "r33" }},
			"since":      {func(f *meta.AuditFilter) { f.Since = start + 100*minute }, func(r meta.AuditRecord) bool { return r.At >= start+100*minute }},
			"until":      {func(f *meta.AuditFilter) { f.Until = start + 153*minute }, func(r meta.AuditRecord) bool { return r.At <= start+153*minute }},
			"word":       {func(f *meta.AuditFilter) { f.Words = [][]string{{"target2", "id3"}} }, func(r meta.AuditRecord) bool { return r.Target == "target2" || r.ActorID == "id3" }},
			"two words":  {func(f *meta.AuditFilter) { f.Words = [][]string{{"asset.upload"}, {"t0"}} }, func(r meta.AuditRecord) bool { return r.Action == "asset.upload" && r.TenantID == "t0" }},
			"before":     {func(f *meta.AuditFilter) { f.Before = all[99].ID }, func(r meta.AuditRecord) bool { return r.ID < all[99].ID }},
			"no request": {func(f *meta.AuditFilter) { f.RequestID = "none" }, func(meta.AuditRecord) bool { return false }},
		}
		for one, a := range filters {
			for two, b := range filters {
				if one > two || one != two && overlap(one, two) {
					continue
				}
				var f meta.AuditFilter
				a.set(&f)
				b.set(&f)
				want := []int64{}
				for _, r := range all {
					if a.match(r) && b.match(r) {
						want = append(want, r.ID)
					}
				}
				for _, limit := range []int{7, 1000} {
					list, err := db.AuditLog(ctx, f, limit)
					require.NoError(t, err, "%s, %s", one, two)
					got := []int64{}
					for _, r := range list {
						got = append(got, r.ID)
					}
					require.Equal(t, want[:min(limit, len(want))], got, "%s, %s", one, two)
				}
			}
		}
		r, err := db.AuditRecordBy(ctx, all[5].ID)
		require.NoError(t, err)
		require.Equal(t, all[5], r)
	})
}

// overlap: the two set the same field.
func overlap(one, two string) bool {
	for _, same := range [][]string{{"action", "family", "no action"}, {"result", "refused"}, {"word", "two words"}, {"request", "no request"}} {
		if slices.Contains(same, one) && slices.Contains(same, two) {
			return true
		}
	}
	return false
}
