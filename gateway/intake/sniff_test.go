package intake

import (
	"bytes"
	"encoding/binary"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
)

// mediaPolicy allows every default category, with small limits for pictures.
func mediaPolicy() *storage.Policy {
	categories := map[storage.Category]storage.CategoryPolicy{}
	for category, extensions := range defaultCategories {
		categories[category] = storage.CategoryPolicy{Extensions: extensions, MaxBytes: 1 << 30}
	}
	return &storage.Policy{
		Categories: categories,
		Limits:     storage.Limits{MaxPixels: 1_000_000, MaxDimension: 2000, MaxFrames: 10},
	}
}

// mediaCandidate is a file that has passed the name rules, with its head and its body.
func mediaCandidate(t testing.TB, name string, data []byte) *Candidate {
	c := &Candidate{
		Name: name, DeclaredSize: int64(len(data)), Policy: mediaPolicy(),
		Head: data[:min(len(data), HeadBytes)], Body: bytes.NewReader(data), Size: int64(len(data)),
	}
	require.NoError(t, checkExtension(c))
	return c
}

func testdata(t testing.TB, name string) []byte {
	b, err := os.ReadFile("testdata/" + name)
	require.NoError(t, err)
	return b
}

// requireRefusal checks a refusal's code and, when given, its reason.
func requireRefusal(t testing.TB, err error, code storage.Code, reason string) *storage.Error {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, code, storage.CodeOf(err), "%v", err)
	var refusal *storage.Error
	require.ErrorAs(t, err, &refusal)
	if reason != "" {
		require.NotNil(t, refusal.Reason)
		require.Equal(t, reason, refusal.Reason.Slug)
		require.Equal(t, reason, refusal.Details["reason"])
	}
	return refusal
}

// zipHead is the first member of an archive that could be anything.
var zipHead = "PK\x03\x04\x14\x00\x00\x00\x00\x00" + strings.Repeat("\x00", 16) + "\x05\x00\x00\x00a.txt"

func TestCheckTypeAccepts(t *testing.T) {
	tests := []struct{ name, file, want string }{
		{"a.jpg", "baseline.jpg", "image/jpeg"},
		{"a.jpeg", "progressive.jpg", "image/jpeg"},
		{"a.png", "anim.png", "image/png"},
		{"a.gif", "anim.gif", "image/gif"},
		{"a.webp", "lossy.webp", "image/webp"},
		{"a.heic", "still.heic", "image/heic"},
		{"a.heif", "still.heic", "image/heic"},
		{"a.avif", "still.avif", "image/avif"},
		{"a.avif", "anim.avif", "image/avif"},
		{"a.mp4", "video.mp4", "video/mp4"},
		{"a.mp4", "video.m4v", "video/mp4"},
		{"a.m4v", "video.m4v", "video/mp4"},
		{"a.m4v", "video.mp4", "video/mp4"},
		{"a.mov", "video.mov", "video/quicktime"},
		{"a.webm", "video.webm", "video/webm"},
		{"a.mkv", "video.mkv", "video/x-matroska"},
	}
	for _, tt := range tests {
		c := mediaCandidate(t, tt.name, testdata(t, tt.file))
		require.NoError(t, checkType(c), "%s as %s", tt.file, tt.name)
		require.Equal(t, tt.want, c.MediaType, "%s as %s", tt.file, tt.name)
	}
	for name, want := range map[string]string{
		"a.txt": "text/plain", "a.csv": "text/csv", "a.md": "text/markdown",
	} {
		c := mediaCandidate(t, name, []byte("a,b\n你好,2\n"))
		require.NoError(t, checkType(c))
		require.Equal(t, want, c.MediaType)
	}
	bare := mediaCandidate(t, "a.docx", []byte(zipHead))
	require.NoError(t, checkType(bare), "left for the ooxml rule to prove")
	require.Equal(t, typeDOCX, bare.MediaType)
	require.NoError(t, checkType(mediaCandidate(t, "a.jpg", nil)), "left for the size rule")
}

func TestCheckTypeRefuses(t *testing.T) {
	tests := []struct {
		name, head string
		code       storage.Code
		detected   string
	}{
		{"a.jpg", string(testdata(t, "anim.png")), storage.CodeTypeMismatch, "image/png"},
		{"a.png", string(testdata(t, "video.mp4")), storage.CodeTypeMismatch, "video/mp4"},
		{"a.heic", string(testdata(t, "still.avif")), storage.CodeTypeMismatch, "image/avif"},
		{"a.avif", string(testdata(t, "still.heic")), storage.CodeTypeMismatch, "image/heic"},
		{"a.mp4", string(testdata(t, "video.mov")), storage.CodeTypeMismatch, "video/quicktime"},
		{"a.mov", string(testdata(t, "video.mp4")), storage.CodeTypeMismatch, "video/mp4"},
		{"a.webm", string(testdata(t, "video.mkv")), storage.CodeTypeMismatch, "video/x-matroska"},
		{"a.mkv", string(testdata(t, "video.webm")), storage.CodeTypeMismatch, "video/webm"},
		{"a.pdf", "only words", storage.CodeTypeMismatch, "text/plain"},
		{"a.txt", "%PDF-1.7", storage.CodeTypeMismatch, "application/pdf"},
		{"a.jpg", "MZ\x90\x00\x03\x00\x00\x00", storage.CodeTypeNotAllowed, "application/vnd.microsoft.portable-executable"},
		{"a.jpg", "Rar!\x1a\x07\x01\x00", storage.CodeTypeNotAllowed, "application/vnd.rar"},
		{"a.jpg", zipHead, storage.CodeTypeNotAllowed, "application/zip"},
		{"a.png", `<svg xmlns="http://www.w3.org/2000/svg"/>`, storage.CodeTypeNotAllowed, "image/svg+xml"},
		{"a.txt", "<!DOCTYPE html><p>", storage.CodeTypeNotAllowed, "text/html"},
		{"a.txt", "#!/bin/sh\nid", storage.CodeTypeNotAllowed, "text/x-shellscript"},
		{"a.csv", "<?php system('id');", storage.CodeTypeNotAllowed, "text/x-php"},
		{"a.md", "{\\rtf1", storage.CodeTypeNotAllowed, "text/rtf"},
		{"a.txt", "\x00\x01\x02", storage.CodeTypeNotAllowed, "application/octet-stream"},
		{"a.mp4", string(binary.BigEndian.AppendUint32(nil, 20)) + "ftypM4A \x00\x00\x00\x00M4A ", storage.CodeTypeNotAllowed, "audio/mp4"},
	}
	for _, tt := range tests {
		t.Run(tt.name+" "+tt.detected, func(t *testing.T) {
			c := mediaCandidate(t, tt.name, []byte(tt.head))
			refusal := requireRefusal(t, checkType(c), tt.code, "")
			require.Equal(t, tt.detected, refusal.Details["detected"])
			require.Empty(t, c.MediaType)
			if tt.code == storage.CodeTypeMismatch {
				require.Equal(t, c.Ext, refusal.Details["extension"])
				require.NotEmpty(t, refusal.Details["expected"])
			}
		})
	}
}

func TestCheckTypeFollowsThePolicy(t *testing.T) {
	c := mediaCandidate(t, "a.jpg", testdata(t, "video.mp4"))
	delete(c.Policy.Categories, storage.CategoryVideo)
	requireRefusal(t, checkType(c), storage.CodeTypeNotAllowed, "")
}

func TestEveryDefaultExtensionHasARow(t *testing.T) {
	for _, extensions := range defaultCategories {
		for _, ext := range extensions {
			require.NotEmpty(t, extensionTypes[ext], ext)
		}
	}
}
