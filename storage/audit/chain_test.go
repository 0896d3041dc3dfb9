package audit_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// Ten thousand records from 32 connections while two sealers run: no false alarm meanwhile, and every record is sealed once.
func TestSealingWhileOthersWrite(t *testing.T) {
	metatest.EachTwice(t, func(t *testing.T, db, other *meta.DB) {
		one, two := newLog(t, db), newLog(t, other)
		two.Zone = one.Zone
		one.Now, two.Now = nil, nil
		const writers, each, at = 32, 40, 8
		var writing, sealing sync.WaitGroup
		done := make(chan struct{})
		for w := range writers {
			writing.Go(func() {
				from := []*meta.DB{db, other}[w%2]
				for range each {
					err := from.InTx(context.Background(), func(tx *meta.Tx) error {
						for range at {
							if err := audit.Write(tx, entry("x", "y")); err != nil {
								return err
							}
						}
						return nil
					})
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		for _, l := range []*log{one, two} {
			sealing.Go(func() {
				for end := false; !end; {
					select {
					case <-done:
						end = true
					default:
					}
					if _, err := l.Seal(context.Background()); err != nil {
						t.Error(err)
						return
					}
					if v, err := l.verifier().Verify(context.Background()); err != nil || !v.Whole {
						t.Error(v, err)
						return
					}
				}
			})
		}
		writing.Wait()
		close(done)
		sealing.Wait()
		require.NoError(t, one.Finish(t.Context()))
		one.Sealer = &audit.Sealer{DB: db, Zone: one.Zone, Key: one.Key} // looks at everything
		require.NoError(t, one.Finish(t.Context()))
		v := one.whole()
		require.EqualValues(t, writers*each*at, v.Records)
		require.Equal(t, v.LastSeq, v.SignedSeq)
	})
}

// A worker that dies in the middle of a batch leaves nothing of it.
func TestSealerDiesInABatch(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		l := newLog(t, db)
		l.write(30)
		ctx, cancel := context.WithCancel(t.Context())
		l.seal()
		head, err := db.AuditHead(ctx)
		require.NoError(t, err)
		l.write(3)
		err = db.InTx(ctx, func(tx *meta.Tx) error {
			won, err := tx.AppendSeals(head, []meta.AuditSeal{{Seq: 31, RecordID: 31, Hash: strings.Repeat("f", 64), MAC: "x", SealedAt: 1}})
			require.True(t, won)
			cancel()
			if err != nil {
				return err
			}
			return ctx.Err()
		})
		require.Error(t, err)
		l.seal()
		require.EqualValues(t, 33, l.whole().Records)
	})
}

func TestExportVerifiesOffline(t *testing.T) {
	l := newLog(t, metatest.SQLite(t))
	for range 3 {
		l.write(5)
		l.seal()
	}
	for _, pack := range []string{"", ".gz", ".zst"} {
		var file bytes.Buffer
		out, err := audit.Exporter{DB: l.DB, Public: l.Key.Public(), Key: l.Key}.Export(t.Context(), &file, audit.PackOf("x"+pack), 0, 0)
		require.NoError(t, err)
		require.EqualValues(t, 15, out.Records)
		v, err := audit.VerifyFile(bytes.NewReader(file.Bytes()), l.Key.Public(), false)
		require.NoError(t, err)
		require.True(t, v.Whole, "%v", v)
		require.EqualValues(t, 15, v.Records)
		require.EqualValues(t, 15, v.SignedSeq)
		for at := 0; at < file.Len(); at += 41 { // every byte would take minutes
			changed := bytes.Clone(file.Bytes())
			changed[at] ^= 1
			v, err := audit.VerifyFile(bytes.NewReader(changed), l.Key.Public(), false)
			require.NoError(t, err)
			if pack == "" {
				require.False(t, v.Whole, "byte %d: %s", at, changed)
				require.NotEmpty(t, v.Problem.Sentence)
			}
		}
		v, err = audit.VerifyFile(bytes.NewReader(file.Bytes()[:file.Len()*2/3]), l.Key.Public(), false)
		require.NoError(t, err)
		require.False(t, v.Whole)
	}
}

func TestArchive(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		l := newLog(t, db)
		l.write(30)
		l.seal()
		l.Online = time.Hour
		l.at = l.at.Add(2 * time.Hour)
		n, err := l.Archive(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 30, n)
		l.write(3)
		l.seal()
		v := l.whole()
		require.EqualValues(t, 34, v.Records, "one is about the archive")
		require.EqualValues(t, 1, v.Archives)
		list, err := db.AuditArchives(t.Context())
		require.NoError(t, err)
		body, _, err := l.Zone.Open(t.Context(), list[0].Object, 0, -1)
		require.NoError(t, err)
		raw, err := io.ReadAll(body)
		require.NoError(t, err)
		require.NoError(t, body.Close())
		v, err = audit.VerifyFile(bytes.NewReader(raw), l.Key.Public(), false)
		require.NoError(t, err)
		require.True(t, v.Whole, "%v", v)
		v, err = l.verifier().VerifyRange(t.Context(), 32, 0)
		require.NoError(t, err)
		require.True(t, v.Whole, "%v", v)
		require.EqualValues(t, 31, v.FirstSeq)
		require.NoError(t, l.Zone.Delete(t.Context(), list[0].Object))
		l.bad(audit.Removed, 1, 0)
	})
}

// Without the key a file can be cut off or written anew by anybody: it is not whole unless somebody says that it may be unsigned.
func TestUnsignedEnd(t *testing.T) {
	l := newLog(t, metatest.SQLite(t))
	l.write(5)
	l.seal()
	l.write(5)
	l.seal()
	var file bytes.Buffer
	_, err := audit.Exporter{DB: l.DB, Public: l.Key.Public()}.Export(t.Context(), &file, "", 0, 0)
	require.NoError(t, err)
	cut := func() []byte { // behind the first checkpoint, with an end that fits
		lines := bytes.SplitAfter(file.Bytes(), []byte("\n"))
		kept := bytes.Join(lines[:7], nil)
		return fmt.Appendf(kept, `{"end":{"records":5,"last_seq":5,"sha256":"%x","signature":""}}`+"\n", sha256.Sum256(kept))
	}()
	for _, raw := range [][]byte{file.Bytes(), cut} {
		v, err := audit.VerifyFile(bytes.NewReader(raw), l.Key.Public(), false)
		require.NoError(t, err)
		require.False(t, v.Whole)
		require.Equal(t, audit.Unsigned, v.Problem.Kind, v.Problem.Sentence)
		v, err = audit.VerifyFile(bytes.NewReader(raw), l.Key.Public(), true)
		require.NoError(t, err)
		require.True(t, v.Whole, "%v", v)
		require.Len(t, v.Notes, 1)
	}
}

func FuzzVerifyFile(f *testing.F) {
	key, err := audit.ParseKey(strings.Repeat("5a", 32))
	require.NoError(f, err)
	f.Add([]byte(`{"header":{"format":"gatehouse-audit-1"}}` + "\n"))
	f.Add([]byte{0x1f, 0x8b})
	f.Fuzz(func(t *testing.T, raw []byte) {
		v, err := audit.VerifyFile(bytes.NewReader(raw), key.Public(), false)
		if err != nil || v.Whole {
			t.Fatalf("nobody has signed %q: %v %v", raw, v, err)
		}
	})
}
