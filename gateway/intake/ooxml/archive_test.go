package ooxml

import (
	"archive/zip"
	"bytes"
	"io/fs"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
)

var archiveLimits = storage.Limits{MaxZipMembers: 100, MaxReleaseUnpackedBytes: 4 << 20, MaxScanBytes: 2 << 20, MaxZipRatio: 100}

// archived is an archive of members, of which those with a target are links.
func archived(t testing.TB, members ...[2]string) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, m := range members {
		h := &zip.FileHeader{Name: m[0], Method: zip.Deflate}
		content, link := strings.CutPrefix(m[1], "-> ")
		if link {
			h.SetMode(fs.ModeSymlink | 0o777)
		}
		part, err := w.CreateHeader(h)
		require.NoError(t, err)
		_, err = part.Write([]byte(content))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func TestArchivesOfReleases(t *testing.T) {
	check := func(b []byte) error { return CheckArchive(bytes.NewReader(b), int64(len(b)), archiveLimits) }
	require.NoError(t, check(archived(t, [2]string{"App.app/Contents/MacOS/App", "program"},
		[2]string{"App.app/Contents/Frameworks/F/Versions/A/F", "library"}, [2]string{"App.app/Contents/Frameworks/F/F", "-> Versions/A/F"},
		[2]string{"App.app/Contents/Frameworks/F/Versions/B", "-> A"}, [2]string{"App.app/x/y", "-> ../Contents"})))
	random := strings.Builder{}
	for i := range 3 << 20 {
		random.WriteByte(byte(i*i>>7 ^ i))
	}
	for want, b := range map[string][]byte{
		"zip_damaged":          []byte("PK\x03\x04 and no archive at all, for as long as an end record is"),
		"zip_hidden_bytes":     append(archived(t, [2]string{"a", "b"}), "MZ tail"...),
		"zip_path":             archived(t, [2]string{"../a", "b"}),
		"zip_duplicate_member": archived(t, [2]string{"a", "b"}, [2]string{"A", "c"}),
		"zip_link":             archived(t, [2]string{"a/b", "-> ../../etc/passwd"}),
		"zip_bomb":             archived(t, [2]string{"a", strings.Repeat("\x00", 2<<20)}),
		"zip_large_member":     archived(t, [2]string{"a", random.String()}),
	} {
		requireReason(t, want, check(b))
	}
	for _, to := range []string{"/etc/passwd", "..", "../../x", "a\\b", "C:x"} {
		requireReason(t, "zip_link", check(archived(t, [2]string{"f/l", "-> " + to}, [2]string{"g", "-> ../" + to})))
	}
}

func FuzzArchive(f *testing.F) {
	f.Add(archived(f, [2]string{"a", "b"}, [2]string{"l", "-> a"}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := CheckArchive(bytes.NewReader(b), int64(len(b)), archiveLimits); err == nil {
			_, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
			require.NoError(t, err, "what passes can be read by others")
		} else {
			require.NotEmpty(t, storage.CodeOf(err))
		}
	})
}
