package settings_test

import (
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
	"gatehouse/storage/settings"
)

func configured() settings.Values {
	return settings.Values{
		UploadsAccept: true, AlertsRefusals: 50, AlertsQueriesPerHour: 100, AlertsNightFrom: "22:00", AlertsNightUntil: "07:00", AlertsRepeat: 4 * time.Hour,
	}
}

func TestValues(t *testing.T) {
	for name, c := range map[string]struct{ good, bad []string }{
		"uploads.accept":          {[]string{`false`, `true`}, []string{`null`, `"true"`, `1`, ``}},
		"uploads.message":         {[]string{`"back at 10"`, `""`, `"升级中"`}, []string{`5`, `"a\nb"`, `null`}},
		"alerts.refusals":         {[]string{`1`, `1000`}, []string{`0`, `-1`, `1.5`, `"5"`, `99999999999999999`, `1e400`}},
		"alerts.queries_per_hour": {[]string{`1`, `100000`}, []string{`0`, `100001`}},
		"alerts.night_from":       {[]string{`"00:00"`, `"23:59"`}, []string{`"24:00"`, `"7:00"`, `7`, `""`}},
		"alerts.night_until":      {[]string{`"07:30"`}, []string{`"07:60"`}},
		"alerts.repeat":           {[]string{`"1m"`, `"4h"`, `"1h30m"`}, []string{`"59s"`, `"721h"`, `4`, `"-4h"`, `"soon"`}},
	} {
		s, ok := settings.ByName(name)
		require.True(t, ok, name)
		for _, raw := range c.good {
			v := settings.Values{}
			require.NoError(t, s.Put(&v, json.RawMessage(raw)), "%s = %s", name, raw)
			require.Equal(t, raw, string(s.Of(v)))
		}
		for _, raw := range c.bad {
			v := configured()
			require.Error(t, s.Put(&v, json.RawMessage(raw)), "%s = %s", name, raw)
			require.Equal(t, configured(), v)
		}
	}
	require.Len(t, settings.List, 7)
}

func TestLive(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		live := &settings.Live{DB: db, Configured: configured(), Log: slog.New(slog.DiscardHandler)}
		require.Equal(t, configured(), live.Now(t.Context()))
		set := func(name, value string) {
			require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error {
				return tx.SaveSetting(meta.Setting{Name: name, Value: value, UpdatedAt: meta.Now(), UpdatedBy: "ann"})
			}))
		}
		set("uploads.accept", "true")
		set("uploads.accept", "false")
		set("alerts.repeat", `"nonsense"`)
		set("of.another.version", `1`)
		require.Eventually(t, func() bool { return !live.Now(t.Context()).UploadsAccept }, 3*settings.Fresh, 50*time.Millisecond)
		v, err := settings.Read(t.Context(), db, configured())
		require.NoError(t, err)
		require.Equal(t, 4*time.Hour, v.AlertsRepeat)
		require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error {
			s, err := tx.SettingBy("uploads.accept")
			require.NoError(t, err)
			require.Equal(t, "false", s.Value)
			require.NoError(t, tx.DropSetting("uploads.accept"))
			_, err = tx.SettingBy("uploads.accept")
			require.ErrorIs(t, err, storage.ErrNotFound)
			return nil
		}))
		v, err = settings.Read(t.Context(), db, configured())
		require.NoError(t, err)
		require.True(t, v.UploadsAccept)
	})
}
