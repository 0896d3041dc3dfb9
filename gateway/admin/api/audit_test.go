package api_test

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/gateway/admin"
	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

func TestAuditSearch(t *testing.T) {
	d := newDesk(t, metatest.SQLite(t))
	made := d.tenant("acme")
	require.NoError(t, d.DB.InTx(t.Context(), func(tx *meta.Tx) error {
		return audit.Write(tx, audit.Entry{
			Actor: audit.Actor{Kind: audit.KindKey, ID: "k1", Address: "192.0.2.7", RequestID: "req-9"}, TenantID: made.TenantID,
			Action: "asset.upload", Result: audit.Refused, Code: string(storage.CodeTypeMismatch),
		})
	}))
	for query, want := range map[string]int{
		"": 4, "tenant=acme": 4, "tenant=" + made.TenantID: 4, "actor_kind=operator": 3, "actor=" + d.By.OperatorID: 3, "role=super": 3,
		"role=ops": 0, "action=tenant": 2, "action=tenant.create": 1, "target=" + made.TenantID: 2, "result=refused": 1, "code=TYPE_MISMATCH": 1,
		"address=192.0.2.7": 1, "request_id=req-9": 1, "q=acme": 4, "q=type_mismatch": 1, "q=" + url.QueryEscape("acme 192.0.2.7"): 1,
		"q=" + url.QueryEscape("acme nothing"): 0, "since=" + time.Now().Add(time.Hour).UTC().Format(time.RFC3339): 0,
		"until=" + time.Now().Add(time.Hour).UTC().Format(time.RFC3339): 4, "tenant=" + meta.NewID(): 0,
	} {
		var p page[admin.Record]
		d.ok(200, http.MethodGet, "audit?"+query, nil, &p)
		require.Len(t, p.Items, want, query)
	}
	require.Equal(t, "tenant_unknown", d.refused(404, http.MethodGet, "audit?tenant=nobody", nil))
	require.Equal(t, "words", d.refused(400, http.MethodGet, "audit?q=1+2+3+4+5+6", nil))

	var first, second page[admin.Record]
	d.ok(200, http.MethodGet, "audit?limit=3", nil, &first)
	d.ok(200, http.MethodGet, "audit?limit=3&cursor="+*first.NextCursor, nil, &second)
	require.Len(t, second.Items, 1)
	require.Nil(t, second.NextCursor)
	var one admin.Record
	d.ok(200, http.MethodGet, fmt.Sprintf("audit/%d", second.Items[0].ID), nil, &one)
	require.Equal(t, second.Items[0], one)
	require.Equal(t, "record_unknown", d.refused(404, http.MethodGet, "audit/4711", nil))
	status, csv := d.do(http.MethodGet, "audit?format=csv&action=asset.upload", nil)
	require.Equal(t, 200, status)
	require.Contains(t, string(csv), "192.0.2.7")
}

func TestOverview(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		d := newDesk(t, db)
		made := d.tenant("acme")
		var o admin.Overview
		d.ok(200, http.MethodGet, "overview", nil, &o)
		require.Nil(t, o.CountedAt)
		require.Nil(t, o.Scanner)
		require.Nil(t, o.Snapshot)

		now := meta.Now()
		require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error {
			for _, e := range []audit.Entry{
				{TenantID: made.TenantID, Action: "asset.upload", Result: audit.OK, Data: map[string]any{"size": 12}},
				{TenantID: made.TenantID, Action: "asset.upload", Result: audit.Refused, Code: "TYPE_MISMATCH"},
				{TenantID: made.TenantID, Action: "scan.verdict", Result: audit.OK, Data: map[string]any{"status": "infected"}},
			} {
				if err := audit.Write(tx, e); err != nil {
					return err
				}
			}
			if _, err := tx.Enqueue(meta.NewTask{Kind: storage.TaskScan, TenantID: made.TenantID, Subject: "x"}); err != nil {
				return err
			}
			_, err := tx.OpenAlert(&meta.Alert{Rule: "r", Subject: "s", Severity: "critical", Data: "{}", OpenedAt: now})
			return err
		}))
		require.NoError(t, d.sealed(0).Finish(t.Context()))
		_, err := db.RollUp(t.Context(), 1000)
		require.NoError(t, err)
		require.NoError(t, db.SetScanner(t.Context(), meta.ScannerFact{Ready: true, Engine: "e", Database: "d", CheckedAt: now}))
		require.NoError(t, db.SetDisks(t.Context(), meta.DiskFact{Program: "worker", At: now, Disks: []meta.DiskUse{{Uses: []string{"store"}, Total: 1 << 21}}}))

		d.ok(200, http.MethodGet, "overview", nil, &o)
		require.NotNil(t, o.CountedAt)
		require.EqualValues(t, 1, o.Tenants.ByState[storage.TenantActive])
		require.EqualValues(t, 1<<20, o.Storage.PromisedBytes)
		require.InDelta(t, 0.5, *o.Storage.Overcommit, 0.001)
		for _, p := range []admin.OverviewPeriod{o.Last24h, o.Last30d} {
			require.EqualValues(t, 1, p.Uploads)
			require.EqualValues(t, 12, p.Bytes)
			require.Equal(t, map[string]int64{"TYPE_MISMATCH": 1}, p.Refusals)
			require.Equal(t, map[storage.ScanStatus]int64{storage.ScanInfected: 1}, p.Verdicts)
		}
		require.EqualValues(t, 1, o.Lanes[0].Queued)
		require.True(t, o.Scanner.Ready)
		require.Equal(t, map[string]int64{"critical": 1}, o.Alerts)

		var list page[admin.TenantLine]
		d.ok(200, http.MethodGet, "tenants?sort=last_upload", nil, &list)
		require.EqualValues(t, 12, list.Items[0].Bytes)
		require.NotNil(t, list.Items[0].LastUploadAt)
	})
}
