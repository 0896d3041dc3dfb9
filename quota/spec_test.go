package quota_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/quota"
	"gatehouse/storage"
)

func TestOnlyTheKeysThatAreThereOverride(t *testing.T) {
	plan := `{"max_files":10,"uploads_per_minute":20,"transcoding":true,"video_presets":["h264"],"max_bytes":{"image":5,"video":6},"from_the_future":1}`
	s, err := quota.SpecOf(plan, "")
	require.NoError(t, err)
	require.Equal(t, quota.Limits{MaxFiles: 10, UploadsPerMinute: 20}, s.Limits(), "a key that is not there is no limit")

	s, err = quota.SpecOf(plan, `{"max_files":0,"transcoding":false,"video_presets":["small"],"max_bytes":{"image":7},"concurrent_uploads":3}`)
	require.NoError(t, err)
	require.Equal(t, quota.Spec{
		UploadsPerMinute: 20, ConcurrentUploads: 3, VideoPresets: []string{"small"},
		MaxBytes: map[storage.Category]int64{storage.CategoryImage: 7, storage.CategoryVideo: 6},
	}, s)

	_, err = quota.SpecOf("", "")
	require.ErrorContains(t, err, "plan spec")
	_, err = quota.SpecOf("{}", "{")
	require.ErrorContains(t, err, "overrides")
}

func TestCheckSpecNamesWhatIsWrong(t *testing.T) {
	for raw, says := range map[string]string{
		"":   "",
		"{}": "",
		`{"max_files":1,"uploads_per_minute":1,"concurrent_uploads":1,"retention_days":1,"max_video_height":720}`: "",
		`{"categories":["image"],"serve":"variants_only","upgrade_url":"https://example.org/plans"}`:              "",
		`{"max_file":1}`:                        `unknown field "max_file"`,
		`[]`:                                    "JSON object",
		`null`:                                  "JSON object",
		`{"max_files":1} {}`:                    "JSON object",
		`{"max_files":null}`:                    "max_files: a value is expected",
		`{"Max_Files":2}`:                       `unknown field "Max_Files"`,
		`{"max_files":1,"max_files":2}`:         "max_files: stands twice",
		`{"max_files":-1}`:                      "max_files: 1 to",
		`{"max_files":1.5}`:                     "max_files: a number 1.5 is not expected",
		`{"max_files":"many"}`:                  "max_files: a string is not expected",
		`{"uploads_per_minute":9999999999999}`:  "uploads_per_minute",
		`{"concurrent_uploads":-2}`:             "concurrent_uploads",
		`{"retention_days":36501}`:              "retention_days",
		`{"max_video_height":1}`:                "max_video_height",
		`{"max_bytes":{"image":0}}`:             "max_bytes: 1 or more",
		`{"max_bytes":{"pictures":1}}`:          `max_bytes: there is no category "pictures"`,
		`{"categories":["images"]}`:             `categories: there is no "images"`,
		`{"duplicates":"twice"}`:                "duplicates: link or reject",
		`{"serve":"nothing"}`:                   "serve: all or variants_only",
		`{"image_presets":[""]}`:                "image_presets",
		`{"upgrade_url":"javascript:alert(1)"}`: "upgrade_url",
	} {
		err := quota.CheckSpec(raw)
		if says == "" {
			require.NoError(t, err, raw)
		} else {
			require.ErrorContains(t, err, says, raw)
		}
	}
	require.ErrorContains(t, quota.Spec{Serve: quota.ServeVariantsOnly}.Check(), "needs transcoding")
	require.NoError(t, quota.Spec{Serve: quota.ServeVariantsOnly, Transcoding: true}.Check())
	require.NoError(t, quota.Spec{Serve: quota.ServeVariantsOnly, Categories: []storage.Category{storage.CategoryImage}}.Check())
}

func TestCheckKeyNamesWhatThereIs(t *testing.T) {
	for _, key := range quota.Keys() {
		require.NoError(t, quota.CheckKey(key), key)
	}
	require.NoError(t, quota.CheckKey("max_bytes.video"))
	for key, says := range map[string]string{
		"nosuch": "there are categories, max_bytes, ", "": "no such key", "Max_files": "no such key", "max_files.x": "has no parts",
		"max_bytes.pictures": "there are image, video, document, release", "max_bytes.": "no category", "max_bytes.video.x": "no category",
	} {
		require.ErrorContains(t, quota.CheckKey(key), says, key)
	}
}

// What CheckSpec lets pass is what SpecOf reads, and never panics.
func FuzzCheckSpec(f *testing.F) {
	f.Add(`{"max_files":1,"max_bytes":{"image":5}}`)
	f.Add(`{"serve":"all","serve":"all"}`)
	f.Fuzz(func(t *testing.T, raw string) {
		if quota.CheckSpec(raw) != nil || raw == "" {
			return
		}
		s, err := quota.SpecOf("{}", raw)
		require.NoError(t, err)
		again, err := s.Encode()
		require.NoError(t, err)
		require.True(t, json.Valid([]byte(again)))
		require.NoError(t, quota.CheckSpec(again))
	})
}
