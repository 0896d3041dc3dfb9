package intake

import (
	"archive/zip"
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
)

func TestCheckTrailer(t *testing.T) {
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	_, err := w.Create("hidden.txt")
	require.NoError(t, err)
	require.NoError(t, w.Close())
	video := string(testdata(t, "video.mp4"))
	tests := []struct{ name, rest, reason, found string }{
		{"nothing", "", "", ""},
		{"zeros", "\x00\x00\x00\x00", "", ""},
		{"zip", archive.String(), "image_hidden_archive", "zip"},
		{"rar", "Rar!\x1a\x07\x01\x00abcdefgh", "image_hidden_archive", "rar"},
		{"program", "\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00", "image_hidden_executable", "elf"},
		{"page", "<html><script>x()</script>", "image_hidden_script", "html"},
		{"pdf", "%PDF-1.4\n1 0 obj", "image_trailing_data", "pdf"},
		{"words", "some more words", "image_trailing_data", "unknown"},
	}
	files := map[string]string{"video.mp4": "a.mp4", "video.mov": "a.mov", "video.mkv": "a.mkv", "video.webm": "a.webm"}
	for file, name := range pictureFiles {
		files[file] = name
	}
	for file, name := range files {
		for _, tt := range tests {
			t.Run(file+"/"+tt.name, func(t *testing.T) {
				data := append(testdata(t, file), tt.rest...)
				_, err := judgePicture(t, name, data)
				if tt.reason == "" {
					require.NoError(t, err)
					return
				}
				refusal := requireRefusal(t, err, storage.CodeContentUnsafe, tt.reason)
				require.Equal(t, tt.found, refusal.Details["found"])
				require.NotEmpty(t, refusal.Reason.English)
				require.NotEmpty(t, refusal.Reason.Chinese)
			})
		}
	}
	for _, file := range []string{"baseline.jpg", "progressive.jpg", "still.heic"} {
		_, err := judgePicture(t, pictureFiles[file], append(testdata(t, file), video...))
		require.NoError(t, err, "motion photo in %s", file)
	}
}
