package assets

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

func failedFor(slug, stored string) meta.AssetView {
	return meta.AssetView{
		Asset: meta.Asset{State: storage.AssetAvailable},
		Blob:  meta.Blob{MediaStatus: storage.MediaFailed, MediaReason: slug, MediaError: stored},
	}
}

func TestViewSaysWhyInTheCallersLanguage(t *testing.T) {
	for _, r := range storage.MediaReasons() {
		v := failedFor(r.Slug, r.English)
		for locale, want := range map[storage.Locale]string{storage.LocaleEnglish: r.English, storage.LocaleChinese: r.Chinese} {
			m := viewOf(v, locale).Media
			require.Equal(t, r.Slug, *m.Reason)
			require.Equal(t, want, *m.Error)
		}
	}
}

func TestViewOfAReasonOfANewerWorker(t *testing.T) {
	m := viewOf(failedFor("of_tomorrow", "The moon is full."), storage.LocaleChinese).Media
	require.Equal(t, "of_tomorrow: The moon is full.", *m.Reason+": "+*m.Error)
	// Before there were slugs.
	m = viewOf(failedFor("", "It is broken."), storage.LocaleChinese).Media
	require.Nil(t, m.Reason)
	require.Equal(t, "It is broken.", *m.Error)
	m = viewOf(meta.AssetView{}, storage.LocaleChinese).Media
	require.Nil(t, m.Reason)
	require.Nil(t, m.Error)
}

func TestViewOfAnEventSaysWhyInTheCallersLanguage(t *testing.T) {
	r := storage.ReasonVideoTooLong
	tests := map[string]struct {
		kind storage.EventKind
		data string
		want string
	}{
		"a failure": {
			storage.EventMedia, `{"status":"failed","progress":0.25,"error":"Old words.","reason":"video_too_long"}`,
			`{"status":"failed","progress":0.25,"error":"` + r.Chinese + `","reason":"video_too_long"}`,
		},
		"of a newer worker": {
			storage.EventMedia, `{"status":"failed","error":"The moon is full.","reason":"of_tomorrow"}`,
			`{"status":"failed","error":"The moon is full.","reason":"of_tomorrow"}`,
		},
		"progress":      {storage.EventMedia, `{"status":"running","progress":0.5}`, `{"status":"running","progress":0.5}`},
		"another event": {storage.EventAccepted, `{"reason":"video_too_long"}`, `{"reason":"video_too_long"}`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			v := failedFor(r.Slug, r.English)
			raw, err := json.Marshal(eventBody(meta.Event{Kind: tt.kind, Data: tt.data}, v, false, storage.LocaleChinese))
			require.NoError(t, err)
			var got struct {
				Data  json.RawMessage
				Asset Asset
			}
			require.NoError(t, json.Unmarshal(raw, &got))
			require.JSONEq(t, tt.want, string(got.Data))
			require.Equal(t, r.Chinese, *got.Asset.Media.Error)
		})
	}
}

func TestDamagedAssetIsSeenAndNotServed(t *testing.T) {
	v := meta.AssetView{
		Asset: meta.Asset{State: storage.AssetAvailable},
		Blob:  meta.Blob{Zone: storage.ZoneClean, ScanStatus: storage.ScanClean, MediaStatus: storage.MediaNone},
	}
	require.NoError(t, readable(v))
	require.Nil(t, viewOf(v, storage.LocaleEnglish).Damage)

	v.Blob.Damage = storage.DamageDigest
	require.Equal(t, storage.DamageDigest, *viewOf(v, storage.LocaleEnglish).Damage)
	for _, state := range []storage.AssetState{storage.AssetAvailable, storage.AssetQuarantined} {
		v.State = state
		require.Equal(t, storage.CodeAssetDamaged, storage.CodeOf(readable(v)))
	}
	v.State = storage.AssetRejected
	require.Equal(t, storage.CodeAssetRejected, storage.CodeOf(readable(v)), "to send it again would heal nothing")
}
