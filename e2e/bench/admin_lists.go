package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"

	"gatehouse/storage/meta"
)

// adminList is a list to measure: the queries that are asked of it, and where its rows are, so that its middle and its end can be
// found without turning all pages.
type adminList struct {
	path    string
	queries []string
	// table is what the list shows, newest first unless ascending; always is a condition that it has without any filter.
	table, always string
	ascending     bool
	// where is the condition that a parameter is; "?" stands for its value. Without an entry it is a column of that name.
	where map[string]string
}

const tenantIs = "tenant_id = (SELECT t.id FROM tenants t WHERE t.name = ?)"

var (
	auditWhere = map[string]string{
		"tenant": tenantIs, "actor": "actor_id = ?", "role": "actor_role = ?", "action": "(action = ? OR action LIKE ? || '.%')", "since": microsOf("at >="), "until": microsOf("at <"),
		"q": "? IN (target, actor_id, request_id, address, code, action)",
	}
	blobIs     = "EXISTS (SELECT 1 FROM blobs b WHERE b.tenant_id = r.tenant_id AND b.sha256 = r.sha256 AND b."
	assetWhere = map[string]string{
		"tenant": tenantIs, "scan": blobIs + "scan_status = ?)", "media": blobIs + "media_status = ?)", "signature": blobIs + "scan_signature = ?)",
		"damaged": blobIs + "damaged_at > 0) = ?::boolean", "q": "name_folded LIKE '%' || ? || '%'", "since": microsOf("created_at >="), "until": microsOf("created_at <"),
	}
)

func microsOf(column string) string {
	return column + " (EXTRACT(EPOCH FROM ?::timestamptz) * 1000000)::bigint"
}

// adminLists is THE list of what is measured, beside what is no list. Every list is asked for its first page, one in the middle
// and the last one.
var adminLists = []adminList{
	{path: "tenants", queries: []string{
		"", "sort=created", "sort=used", "sort=last_upload", "state=active", "state=failed", "plan=bench", "q=nt%204", "q=nobody",
		"over_percent=90", "over_percent=999", "state=active&plan=bench&sort=used",
	}},
	{path: "tenants/tenant%2042/events", queries: []string{"", "action=asset", "result=refused", "action=key.revoke"}},
	{path: "tenants/tenant%201/events", queries: []string{"", "action=asset", "result=refused", "action=key.revoke"},
		table: "audit_log", always: "tenant_id = (SELECT id FROM tenants WHERE name = 'tenant 1')", where: auditWhere},
	{path: "tenants/tenant%201/export", queries: []string{""}, table: "assets", always: "tenant_id = (SELECT id FROM tenants WHERE name = 'tenant 1')"},
	{path: "tenants/tenant%201/keys", queries: []string{""}},
	{path: "operators", queries: []string{""}},
	{path: "audit", table: "audit_log", where: auditWhere, queries: []string{
		"", "actor_kind=operator", "actor_kind=key", "actor_kind=worker", "actor_kind=stranger", "actor=" + adminOperator, "actor=nobody", "role=super", "role=nothing",
		"action=asset", "action=asset.upload", "action=tenant", "action=tenant.suspend", "action=nothing", "target=target42", "target=nothing",
		"tenant=tenant%2042", "tenant=tenant%201", "result=ok", "result=refused", "result=failed", "code=TYPE_MISMATCH", "code=NOTHING",
		"address=10.0.0.7", "address=nowhere", "request_id=r4242", "request_id=nothing", "q=10.0.0.7", "q=nothing", "q=tenant.suspend",
		"since=2026-01-10T00:00:00Z", "until=2026-01-05T00:00:00Z", "since=2026-01-10T00:00:00Z&until=2026-01-10T01:00:00Z",
		"since=2030-01-01T00:00:00Z", "tenant=tenant%201&action=asset.upload", "tenant=tenant%201&action=key.revoke", "tenant=tenant%201&result=refused",
		"tenant=tenant%201&result=failed", "action=asset.upload&result=refused", "action=asset.upload&code=NOTHING", "action=asset&result=failed",
		"actor_kind=operator&action=tenant", "actor_kind=worker&action=asset.delete", "actor=" + adminOperator + "&action=tenant.suspend",
		"actor=" + adminOperator + "&tenant=tenant%2042", "address=10.0.0.7&result=refused", "role=super&action=tenant.suspend",
		"action=scan.verdict&since=2026-01-10T00:00:00Z&until=2026-01-10T01:00:00Z", "tenant=tenant%201&since=2026-01-15T00:00:00Z",
	}},
	{path: "assets", table: "assets", always: "state <> 'deleted'", where: assetWhere, queries: assetQueries()},
	{path: "assets/bulk", queries: []string{""}},
	{path: "tasks", table: "tasks", where: map[string]string{"tenant": tenantIs}, queries: []string{
		"", "kind=scan", "kind=image", "kind=sweep", "kind=snapshot", "lane=scan", "lane=video", "lane=housekeeping", "state=queued", "state=running", "state=done",
		"state=dead", "state=cancelled", "tenant=tenant%201", "tenant=tenant%2042", "subject=" + strings.Repeat("0", 64), "subject=" + adminDigest, "kind=scan&state=dead", "kind=sweep&state=dead",
		"kind=sweep&state=running", "kind=scan&state=queued", "kind=scan&state=done", "kind=image&state=done", "lane=scan&state=dead", "lane=video&state=cancelled",
		"lane=housekeeping&state=dead", "tenant=tenant%201&state=dead", "tenant=tenant%2042&state=dead", "tenant=tenant%201&kind=sweep", "tenant=tenant%201&lane=housekeeping",
		"tenant=tenant%201&kind=scan&state=done", "kind=scan&lane=image",
	}},
	{path: "alerts", queries: []string{
		"", "state=open", "state=closed", "severity=critical", "severity=critical&state=open", "rule=rule_7", "rule=rule_7&state=open", "rule=rule_7&severity=info",
		"tenant=tenant%2042", "tenant=tenant%2042&state=open", "tenant=tenant%207", "q=number%20199", "q=nothing", "q=happened",
	}, table: "alerts", where: map[string]string{"tenant": tenantIs, "state": "CASE ? WHEN 'open' THEN open_key IS NOT NULL ELSE open_key IS NULL END",
		"q": "lower(message) LIKE '%' || ? || '%'"}},
	{path: "reconcile", queries: []string{"", "kind=full", "kind=full&state=failed", "state=failed", "state=running", "state=done"}},
	{path: "reconcile/" + adminRun + "/findings", table: "reconcile_findings", always: "run_id = '" + adminRun + "'", ascending: true, queries: []string{
		"", "kind=ledger_drift", "kind=size_differs", "kind=wrong_zone", "repair=trash", "repair=heal", "state=open", "state=failed", "state=gone",
		"kind=ledger_drift&state=open", "kind=size_differs&state=failed", "repair=trash&state=failed", "kind=row_without_object&repair=trash",
	}},
}

// adminDigest is the digest of the 4242nd file.
const adminDigest = "0315b4020af3eccab7706679580ac87a710d82970733b8719e70af9b57e7b9e6"

// assetQueries are each filter alone, the pairs that operators use, and with each the largest tenant.
func assetQueries() []string {
	scans := []string{"pending", "clean", "infected", "unscannable"}
	medias := []string{"none", "pending", "running", "done", "failed"}
	states := []string{"quarantined", "available", "rejected", "deleted"}
	categories := []string{"image", "video", "document", "release"}
	single := map[string][]string{"scan": scans, "media": medias, "state": states, "category": categories,
		"signature": {"Win.Test.Family-7", "Nothing"}, "damaged": {"true", "false"}}
	out := []string{"", "tenant=tenant%201", "tenant=tenant%2042", "tenant=tenant%2042&scan=infected", "tenant=tenant%2042&media=failed", "tenant=tenant%2042&state=rejected"}
	for _, name := range []string{"scan", "media", "state", "category", "signature", "damaged"} {
		for _, v := range single[name] {
			out = append(out, name+"="+v, name+"="+v+"&tenant=tenant%201")
		}
	}
	for _, pair := range [][2]string{
		{"scan", "media"}, {"scan", "category"}, {"scan", "state"}, {"media", "category"}, {"media", "state"}, {"state", "category"}, {"signature", "category"},
	} {
		for _, a := range single[pair[0]] {
			for _, b := range single[pair[1]] {
				out = append(out, pair[0]+"="+a+"&"+pair[1]+"="+b)
			}
		}
	}
	for _, word := range []string{"report", "archive", "leaflet", "zeppelin", "nothing", "qz", "re", "77", "777777", "winter%20777", "0315b4020af3"} {
		out = append(out, "q="+word, "q="+word+"&tenant=tenant%201", "q="+word+"&scan=infected", "q="+word+"&state=rejected")
	}
	return append(out, "sha256="+adminDigest, "sha256="+strings.Repeat("0", 64), "since=2026-01-10T00:00:00Z", "until=2026-01-05T00:00:00Z",
		"since=2026-01-10T00:00:00Z&until=2026-01-10T01:00:00Z", "since=2030-01-01T00:00:00Z", "until=2025-01-01T00:00:00Z",
		"scan=infected&since=2026-01-10T00:00:00Z&until=2026-01-11T00:00:00Z", "scan=infected&until=2026-01-03T00:00:00Z", "media=failed&until=2026-01-03T00:00:00Z",
		"media=failed&category=video&tenant=tenant%201", "scan=pending&media=done&tenant=tenant%201", "category=release&until=2026-01-03T00:00:00Z",
		"tenant=tenant%201&state=rejected&category=video", "tenant=tenant%201&until=2026-01-03T00:00:00Z")
}

// maxLeaps is how many pages of 200 are turned to find the end of a list.
const maxLeaps = 10

// cursorsOf finds where a list begins, its middle and its last page are: by leaps through the whole list where it is short, and by
// asking the database which items lie there where it is not.
func cursorsOf(c *console, db *meta.DB, base string, list adminList, query string) map[string]string {
	out := map[string]string{"first page": ""}
	var all []string
	cursor := ""
	for len(all) < maxLeaps || list.table == "" {
		p := getAdmin(c, base+list.path+"?limit=200&"+query+cursor)
		if p.NextCursor == nil {
			break
		}
		cursor = "&cursor=" + url.QueryEscape(*p.NextCursor)
		all = append(all, cursor)
	}
	switch {
	case len(all) == maxLeaps && list.table != "":
		out["middle page"], out["last page"] = list.places(c, db, query)
	case len(all) > 0:
		out["middle page"], out["last page"] = all[len(all)/2], all[len(all)-1]
	}
	return out
}

// places finds the items behind which the middle and the last 40 items of what a query finds lie.
func (l adminList) places(c *console, db *meta.DB, query string) (middle, last string) {
	values, err := url.ParseQuery(query)
	c.must(err)
	var conds []string
	var args []any
	if l.always != "" && !(l.table == "assets" && values.Has("state")) { // those that are deleted are listed when they are asked for
		conds = append(conds, l.always)
	}
	for name := range values {
		cond, ok := l.where[name]
		if !ok {
			cond = name + " = ?"
		}
		conds = append(conds, cond)
		for range strings.Count(cond, "?") {
			args = append(args, values.Get(name))
		}
	}
	if len(conds) == 0 {
		conds = []string{"true"}
	}
	order := "id DESC"
	if l.ascending {
		order = "id"
	}
	var keys []string
	c.must(db.InTx(context.Background(), func(tx *meta.Tx) error {
		_, err := tx.Scan(&keys, fmt.Sprintf(`SELECT id::text FROM (SELECT id, row_number() OVER (ORDER BY %s) AS n, COUNT(*) OVER () AS of FROM %s r WHERE %s) p
			WHERE n = of / 2 OR n = of - 40 ORDER BY n`, order, l.table, strings.Join(conds, " AND ")), args...)
		return err
	}))
	if len(keys) != 2 {
		c.Fatalf("bench: no places in %s?%s", l.path, query)
	}
	for i, key := range keys {
		keys[i] = "&cursor=" + base64.RawURLEncoding.EncodeToString([]byte("2:"+key)) // gateway/admin/api/list.go
	}
	return keys[0], keys[1]
}

// anAsset is the id of a file in the middle, and of a task.
func anAsset(c *console, db *meta.DB) string {
	var id []string
	c.must(db.InTx(context.Background(), func(tx *meta.Tx) error {
		_, err := tx.Scan(&id, "SELECT id FROM assets ORDER BY id OFFSET (SELECT COUNT(*) / 2 FROM assets) LIMIT 1")
		return err
	}))
	if len(id) == 0 {
		c.Fatal("no assets")
	}
	return id[0]
}
