package meta_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// found is an asset with its blob, as the search by hand looks at it.
type found struct {
	asset meta.Asset
	blob  meta.Blob
}

// TestSearchFindsWhatASearchByHandFinds asks for random filters, of blobs of which also some contradict their assets, whichever way
// the search goes.
func TestSearchFindsWhatASearchByHandFinds(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		lot := rand.New(rand.NewPCG(1, 2))
		pick := func(list ...string) string { return list[lot.IntN(len(list))] }
		tenants := []string{metatest.Tenant(t, db, 1<<30), metatest.Tenant(t, db, 1<<30)}
		var all []found
		for i := range 120 {
			sum := sha256.Sum256(fmt.Append(nil, i))
			category := storage.Category(pick("image", "image", "video", "document", "release"))
			b := newBlob(hex.EncodeToString(sum[:]))
			b.Category = category
			b.ScanStatus = storage.ScanStatus(pick("clean", "clean", "clean", "infected", "unscannable", "pending"))
			b.MediaStatus = storage.MediaStatus(pick("done", "done", "none", "failed", "pending", "running"))
			if b.ScanStatus == storage.ScanInfected {
				b.ScanSignature = pick("Eicar", "Other")
			}
			if lot.IntN(8) == 0 {
				b.Damage, b.DamagedAt = storage.DamageMissing, 1
			}
			tenant := pick(tenants...)
			inTx(t, db, func(tx *meta.Tx) error {
				if _, err := tx.Tenant(tenant).CreateBlob(b); err != nil {
					return err
				}
				for n := range 1 + lot.IntN(3) { // the first file on these bytes, and duplicates
					name := pick("Report", "photo", "odd_100%", "a") + fmt.Sprint(i, ".bin")
					a := meta.Asset{
						ID: meta.NewID(), SHA256: b.SHA256, Name: name, Ext: "bin", Category: category, MediaType: b.MediaType, Size: b.Size,
						State: storage.AssetState(pick("available", "available", "rejected", "quarantined", "deleted")), Duplicate: n > 0,
						CreatedAt: meta.Now(), UpdatedAt: meta.Now(),
					}
					if n > 0 && lot.IntN(3) == 0 {
						a.Category = storage.CategoryRelease
					}
					if err := tx.Tenant(tenant).CreateAsset(&a); err != nil {
						return err
					}
					all = append([]found{{a, *b}}, all...)
				}
				return nil
			})
		}
		for range 150 {
			s := meta.AssetSearch{
				State: storage.AssetState(pick("", "", "available", "rejected", "quarantined", "deleted")), Category: storage.Category(pick("", "", "image", "document", "release")),
				Scan: storage.ScanStatus(pick("", "clean", "infected", "unscannable", "pending")), Media: storage.MediaStatus(pick("", "", "done", "none", "failed", "running")),
				Signature: pick("", "", "", "", "Eicar"), Query: pick("", "", "", "report", "_1", "zzz"),
			}
			switch lot.IntN(6) {
			case 0:
				s.TenantID = pick(tenants...)
			case 1:
				damaged := lot.IntN(2) == 0
				s.Damaged = &damaged
			case 2:
				s.SHA256 = all[lot.IntN(len(all))].asset.SHA256
			case 3:
				s.Since, s.Until = all[len(all)/2].asset.CreatedAt, all[len(all)/4].asset.CreatedAt
			}
			before := ""
			if lot.IntN(2) == 0 {
				before = all[lot.IntN(len(all))].asset.ID
			}
			limit := 1 + lot.IntN(12)
			want := byHand(all, s, before, limit)
			for _, bounds := range [][3]int{{1000, 1000, 1000}, {0, 1000, 5}, {0, 0, 5}, {5, 40, 20}} {
				list, err := db.SearchAssetsWithin(t.Context(), s, before, limit, bounds[0], bounds[1], bounds[2])
				require.NoError(t, err)
				got := []string{}
				for _, a := range list {
					got = append(got, a.ID)
				}
				require.Equal(t, want, got, "%+v before %q, bounds %v", s, before, bounds)
			}
		}
	})
}

// byHand looks at all, which are newest first.
func byHand(all []found, s meta.AssetSearch, before string, limit int) []string {
	out := []string{}
	is := func(want, have string) bool { return want == "" || want == have }
	for _, f := range all {
		a, b := f.asset, f.blob
		ok := is(string(s.State), string(a.State)) && (s.State != "" || a.State != storage.AssetDeleted) && is(string(s.Category), string(a.Category)) &&
			is(string(s.Scan), string(b.ScanStatus)) && is(string(s.Media), string(b.MediaStatus)) && is(s.Signature, b.ScanSignature) &&
			is(s.TenantID, a.TenantID) && is(s.SHA256, a.SHA256) && (before == "" || a.ID < before) && strings.Contains(strings.ToLower(a.Name), s.Query) &&
			(s.Damaged == nil || *s.Damaged == (b.Damage != "")) && a.CreatedAt >= s.Since && (s.Until == 0 || a.CreatedAt < s.Until)
		if ok && len(out) < limit {
			out = append(out, a.ID)
		}
	}
	return out
}
