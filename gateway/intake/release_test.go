package intake

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
	"gatehouse/storage/release/manifest"
)

func (h house) releaseFile(name string, content []byte) Upload {
	up := h.upload(name, content)
	up.Policy.Categories = map[storage.Category]storage.CategoryPolicy{
		storage.CategoryRelease: {Extensions: []string{"exe", "msi", "zip", "gz", "blockmap", "yml", "yaml", "bin"}, MaxBytes: 20 << 20},
	}
	up.Policy.Limits = storage.Limits{MaxNameBytes: 255, MaxZipMembers: 10, MaxReleaseUnpackedBytes: 1 << 20, MaxScanBytes: 1 << 20, MaxZipRatio: 100}
	return up
}

func gzipped(t *testing.T, content string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write([]byte(content))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return b.Bytes()
}

func TestFilesOfReleasesAreWhatTheyAreCalled(t *testing.T) {
	h := newHouse(t, metatest.SQLite(t), 1<<30)
	for name, content := range map[string][]byte{
		"latest.yml": []byte("version: 1.0.0\nreleaseNotes: 新版本\n"),
		"a.yaml":     []byte("a: 1\n"),
		"app.tar.gz": gzipped(t, "some program"),
	} {
		got, err := h.Receive(context.Background(), h.releaseFile(name, content))
		require.NoError(t, err, name)
		require.NotEmpty(t, got.Asset.MediaType)
		require.NotContains(t, got.Asset.MediaType, "text/plain")
	}
	for _, tt := range []struct {
		name    string
		content []byte
		code    storage.Code
		reason  string
	}{
		{"a.exe", []byte("MZ-80K, the computer by Sharp"), storage.CodeTypeMismatch, "release_exe"},
		{"a.exe", []byte("#!/bin/sh\n"), storage.CodeTypeMismatch, "release_exe"},
		{"a.msi", []byte("MZ\x90\x00"), storage.CodeTypeMismatch, "release_msi"},
		{"a.zip", []byte("Rar!\x1a\x07"), storage.CodeTypeMismatch, "release_zip"},
		{"a.zip", []byte("PK\x03\x04, and then nothing of an archive for a while"), storage.CodeContentUnsafe, "zip_damaged"},
		{"a.gz", append(gzipped(t, "a"), "more"...), storage.CodeContentUnsafe, "release_trailing_data"},
		{"a.gz", gzipped(t, strings.Repeat("a", 2<<20)), storage.CodeContentUnsafe, "release_unpacks_too_large"},
		{"a.blockmap", gzipped(t, "{}"), storage.CodeTypeMismatch, "release_blockmap"},
		{"a.blockmap", []byte("{}"), storage.CodeTypeMismatch, "release_blockmap"},
		{"a.yml", []byte("a: \x00"), storage.CodeTypeMismatch, "text_nul"},
		{"a.yml", []byte("a: \xb0\xa1"), storage.CodeTypeMismatch, "text_encoding"},
		{"a.yml", []byte("<html>"), storage.CodeContentUnsafe, "text_html"},
		{"a.yml", bytes.Repeat([]byte("a"), manifest.MaxBytes+1), storage.CodeFileTooLarge, ""},
		{"a.bin", []byte("anything"), storage.CodeTypeNotAllowed, ""},
	} {
		_, err := h.Receive(context.Background(), h.releaseFile(tt.name, tt.content))
		requireRefusal(t, err, tt.code, tt.reason)
	}
	up := h.releaseFile("a.yml", bytes.Repeat([]byte("a"), manifest.MaxBytes+1))
	up.DeclaredSize = -1
	_, err := h.Receive(context.Background(), up)
	requireRefusal(t, err, storage.CodeFileTooLarge, "")
}

// Update clients go by SHA-512: it is known of every file of a release, also of bytes that came in before it was asked for.
func TestSHA512OfFilesOfReleases(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		h := newHouse(t, db, 1<<20)
		content := []byte("version: 1.0.0\n")
		sum := sha512.Sum512(content)
		up := h.releaseFile("latest.yml", content)
		up.Digests = []Digest{{DigestSHA512, sum[:]}}
		got, err := h.Receive(context.Background(), up)
		require.NoError(t, err)
		require.Equal(t, hex.EncodeToString(sum[:]), got.Asset.Blob.SHA512)
		known := func() string {
			b, err := db.Tenant(t.Context(), h.tenant).Blob(got.Asset.SHA256)
			require.NoError(t, err)
			return b.SHA512
		}
		require.Equal(t, hex.EncodeToString(sum[:]), known())
		_, err = db.Exec(t.Context(), "UPDATE blobs SET sha512 = ''")
		require.NoError(t, err)
		again, err := h.Receive(context.Background(), h.releaseFile("latest.yml", content))
		require.NoError(t, err)
		require.True(t, again.Duplicate)
		require.Equal(t, hex.EncodeToString(sum[:]), known())

		other, err := h.Receive(context.Background(), h.upload("a.txt", note(100)))
		require.NoError(t, err)
		require.Empty(t, other.Asset.Blob.SHA512, "nobody else pays for it")
	})
}
