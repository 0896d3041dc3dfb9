package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/gateway/admin"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// sealed gives the desk a log of n records under a checkpoint for every tenth, and a key.
func (d *desk) sealed(n int) *audit.Sealer {
	d.t.Helper()
	key, err := audit.ParseKey(strings.Repeat("5a", 32))
	require.NoError(d.t, err)
	at := time.Now()
	s := &audit.Sealer{DB: d.DB, Zone: d.API.Admin.Zones.Audit, Key: key, Now: func() time.Time { return at }}
	for i := range n {
		require.NoError(d.t, d.DB.InTx(d.t.Context(), func(tx *meta.Tx) error {
			return audit.Write(tx, audit.Entry{Actor: audit.Worker, Action: "a.b", Target: fmt.Sprint(i), Result: audit.OK})
		}))
		if (i+1)%10 == 0 {
			require.NoError(d.t, s.Finish(d.t.Context()))
		}
	}
	d.API.Admin.Verifier = &audit.Verifier{DB: d.DB, Zone: s.Zone, Public: key.Public(), Key: key}
	return s
}

func TestAuditVerify(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		d := newDesk(t, db)
		require.Equal(t, "audit_key", d.refused(503, http.MethodGet, "audit/verify", nil))
		require.Equal(t, "audit_key", d.refused(503, http.MethodGet, "audit/key", nil))
		s := d.sealed(45)
		var v admin.AuditVerdict
		d.ok(200, http.MethodGet, "audit/verify", nil, &v)
		require.Equal(t, admin.AuditVerdict{
			OK: true, FirstSeq: 1, LastSeq: 40, Records: 40, Checkpoints: 8, SignedSeq: 40, EndSeq: 40, ChainID: v.ChainID,
			Fingerprint: s.Key.Public().Fingerprint(), Notes: []string{}, Unsealed: 5,
		}, v, "of each checkpoint, one is in the database and one in the store")
		d.ok(200, http.MethodGet, "audit/verify?last=5", nil, &v)
		require.True(t, v.OK)
		require.EqualValues(t, 31, v.FirstSeq)
		d.ok(200, http.MethodGet, "audit/verify?from=12&to=25", nil, &v)
		require.True(t, v.OK)
		require.EqualValues(t, []int64{11, 25, 15}, []int64{v.FirstSeq, v.LastSeq, v.Records})
		for _, query := range []string{"last=5&from=1", "last=-1", "last=200001", "from=41", "from=-1", "to=5", "from=5&to=4"} {
			require.Equal(t, "audit_range", d.refused(400, http.MethodGet, "audit/verify?"+query, nil), query)
		}

		var first, second page[admin.AuditCheckpoint]
		d.ok(200, http.MethodGet, "audit/checkpoints?limit=3", nil, &first)
		d.ok(200, http.MethodGet, "audit/checkpoints?limit=3&cursor="+*first.NextCursor, nil, &second)
		require.EqualValues(t, 40, first.Items[0].Seq)
		require.True(t, *first.Items[0].Signed)
		require.Len(t, second.Items, 1)
		require.EqualValues(t, 10, second.Items[0].Seq)
		require.Nil(t, second.NextCursor)
		var key admin.AuditPublicKey
		d.ok(200, http.MethodGet, "audit/key", nil, &key)
		require.Equal(t, s.Key.Public().String(), key.PublicKey)

		tamper(t, db)
		bad, err := db.AuditSealAt(t.Context(), 15)
		require.NoError(t, err)
		_, err = db.Exec(t.Context(), "UPDATE audit_log SET target = 'x' WHERE id = ?", bad.RecordID)
		require.NoError(t, err)
		d.ok(200, http.MethodGet, "audit/verify", nil, &v)
		require.False(t, v.OK)
		require.Equal(t, audit.Changed, v.Problem.Kind)
		require.EqualValues(t, 15, v.Problem.Seq)
		require.Equal(t, bad.RecordID, v.Problem.RecordID)
		require.NotEmpty(t, v.Problem.Sentence)
		d.ok(200, http.MethodGet, "audit/verify?from=25", nil, &v)
		require.True(t, v.OK, "what comes later is whole")
	})
}

// tamper lets records be changed, as whoever owns the database can.
func tamper(t *testing.T, db *meta.DB) {
	t.Helper()
	statement := "DROP TRIGGER audit_log_no_update"
	if db.Dialect() == meta.Postgres {
		statement = "ALTER TABLE audit_log DISABLE TRIGGER USER"
	}
	_, err := db.Exec(t.Context(), statement)
	require.NoError(t, err)
}
