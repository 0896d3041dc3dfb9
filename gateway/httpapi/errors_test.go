package httpapi

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/gofiber/fiber/v2"
	"github.com/stretchr/testify/require"
	"github.com/valyala/fasthttp"

	"gatehouse/storage"
)

// codesInSource reads the constants of type Code from storage/errors.go, so that a new one cannot be forgotten here.
func codesInSource(t *testing.T) map[storage.Code]bool {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../../storage/errors.go", nil, 0)
	require.NoError(t, err)
	codes := map[storage.Code]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if typ, ok := spec.Type.(*ast.Ident); ok && typ.Name == "Code" {
			for _, v := range spec.Values {
				text, err := strconv.Unquote(v.(*ast.BasicLit).Value)
				require.NoError(t, err)
				codes[storage.Code(text)] = true
			}
		}
		return true
	})
	return codes
}

func TestEveryCodeHasAnAnswer(t *testing.T) {
	codes := codesInSource(t)
	require.Greater(t, len(codes), 20)
	for code := range codes {
		require.Contains(t, answers, code)
	}
	for code, a := range answers {
		require.True(t, codes[code], "%s is not a code", code)
		require.GreaterOrEqual(t, a.status, 400)
		require.NotEmpty(t, http.StatusText(a.status))
		for _, s := range []string{a.english, a.chinese} {
			require.Equal(t, strings.Count(s, "["), strings.Count(s, "]"), s)
			require.Equal(t, strings.Count(s, "{"), strings.Count(s, "}"), s)
		}
		// With nothing but the code, both are whole sentences; METHOD_NOT_ALLOWED always has its detail.
		e := storage.Refuse(code, storage.Details{"method": "PUT"})
		english, chinese := a.sentence(e, storage.LocaleEnglish), a.sentence(e, storage.LocaleChinese)
		require.True(t, strings.HasSuffix(english, "."), english)
		require.True(t, strings.HasSuffix(chinese, "。"), chinese)
		for _, s := range []string{english, chinese} {
			require.NotContains(t, s, "[")
			require.NotContains(t, s, "{")
		}
		require.True(t, strings.ContainsFunc(chinese, func(r rune) bool { return unicode.Is(unicode.Han, r) }), chinese)
	}
}

// The statuses are the contract of the design page.
func TestStatuses(t *testing.T) {
	want := map[int][]storage.Code{
		400: {storage.CodeUploadIncomplete, storage.CodeMalformedRequest, storage.CodeReleaseVersionInvalid, storage.CodeReleaseHeartbeatInvalid, storage.CodeReleaseChecksumMismatch},
		401: {storage.CodeUnauthenticated, storage.CodeMFARequired, storage.CodeReleaseDeviceTokenInvalid},
		403: {storage.CodeForbidden, storage.CodeTenantSuspended, storage.CodePlanForbids, storage.CodeReleasePermissionDenied},
		404: {storage.CodeNotFound, storage.CodeReleaseArtifactNotFound},
		405: {storage.CodeMethodNotAllowed},
		409: {storage.CodeAssetQuarantined, storage.CodeAssetDamaged, storage.CodeDuplicateFile, storage.CodeConflict, storage.CodeReleasePublishedConflict},
		410: {storage.CodeAssetRejected},
		411: {storage.CodeLengthRequired},
		413: {storage.CodeFileTooLarge},
		415: {storage.CodeExtensionNotAllowed, storage.CodeTypeNotAllowed, storage.CodeTypeMismatch},
		416: {storage.CodeRangeNotSatisfiable},
		422: {storage.CodeFileEmpty, storage.CodeFilenameInvalid, storage.CodeContentUnsafe, storage.CodeDigestMismatch, storage.CodeReleaseNotPublishable},
		429: {storage.CodeRateLimited, storage.CodeReleaseRateLimited},
		500: {storage.CodeInternal},
		503: {storage.CodeUnavailable},
		507: {storage.CodeQuotaExceeded},
	}
	n := 0
	for status, codes := range want {
		for _, code := range codes {
			require.Equal(t, status, answers[code].status, code)
			n++
		}
	}
	require.Len(t, answers, n)
}

func TestSentences(t *testing.T) {
	reason := storage.Reason{Slug: "x", English: "It hides an archive.", Chinese: "其中隐藏了压缩包。"}
	tests := []struct {
		err              *storage.Error
		english, chinese string
	}{
		{
			storage.Refuse(storage.CodeFileTooLarge, storage.Details{"limit": int64(5 << 20), "size": int64(5<<20 + 1)}),
			"The file is too large: it has 5.0 MiB (5,242,881 B); at most 5 MiB are allowed.",
			"文件过大：大小为 5.0 MiB (5,242,881 B)，最大允许 5 MiB。",
		},
		{
			storage.Refuse(storage.CodeFileTooLarge, storage.Details{"limit": int64(5 << 20), "request_bytes": int64(7 << 20)}),
			"The file is too large: the request has 7 MiB; at most 5 MiB are allowed.",
			"文件过大：请求大小为 7 MiB，最大允许 5 MiB。",
		},
		{storage.Refuse(storage.CodeFileTooLarge, storage.Details{"limit": 100}), "The file is too large; at most 100 B are allowed.", "文件过大，最大允许 100 B。"},
		{storage.Refuse(storage.CodeFileTooLarge, nil), "The file is too large.", "文件过大。"},
		{storage.Refuse(storage.CodeContentUnsafe, nil).Because(reason), "The file was refused because of what it contains. It hides an archive.", "文件因其内容而被拒绝。其中隐藏了压缩包。"},
		{
			storage.Refuse(storage.CodeExtensionNotAllowed, storage.Details{"extension": "exe", "allowed": "jpg, png"}),
			"Files with this extension are not accepted: exe. Accepted are: jpg, png.",
			"不接受此扩展名的文件：exe。可接受的扩展名：jpg, png。",
		},
		{
			storage.Refuse(storage.CodeExtensionNotAllowed, storage.Details{"extension": "", "allowed": []string{"jpg", "png"}}),
			"Files with this extension are not accepted. Accepted are: jpg, png.",
			"不接受此扩展名的文件。可接受的扩展名：jpg, png。",
		},
		{
			storage.Refuse(storage.CodeQuotaExceeded, storage.Details{"quota": int64(1 << 30), "used": int64(1 << 29), "reserved": int64(0), "needed": int64(600 << 20)}),
			"The storage quota is used up: 600 MiB are needed; 512 MiB of 1 GiB are in use and 0 B are reserved for running uploads.",
			"存储配额不足：需要 600 MiB，已使用 512 MiB/1 GiB，另有 0 B 已为进行中的上传预留。",
		},
		{
			storage.Refuse(storage.CodeQuotaExceeded, storage.Details{"limit": "bytes", "quota": int64(1 << 30), "used": int64(1<<30 - 1), "reserved": int64(0), "needed": int64(2), "upgrade_url": "https://example.org/plans"}),
			"The storage quota is used up: 2 B are needed; 1024 MiB (1,073,741,823 B) of 1 GiB are in use and 0 B are reserved for running uploads. More room: https://example.org/plans",
			"存储配额不足：需要 2 B，已使用 1024 MiB (1,073,741,823 B)/1 GiB，另有 0 B 已为进行中的上传预留。升级：https://example.org/plans",
		},
		{
			storage.Refuse(storage.CodeQuotaExceeded, storage.Details{"limit": "bytes", "quota": int64(100), "used": int64(90), "reserved": int64(0), "needed": int64(20), "releasing_bytes": int64(80), "released_at": "2026-11-02T10:00:00Z"}),
			"The storage quota is used up: 20 B are needed; 90 B of 100 B are in use and 0 B are reserved for running uploads. 80 B of deleted files become free by 2026-11-02T10:00:00Z.",
			"存储配额不足：需要 20 B，已使用 90 B/100 B，另有 0 B 已为进行中的上传预留。已删除文件的 80 B 将于 2026-11-02T10:00:00Z 前释放。",
		},
		{
			storage.Refuse(storage.CodeQuotaExceeded, storage.Details{"limit": "files", "quota": int64(5000), "used": int64(4999), "reserved": int64(1), "needed": int64(1)}),
			"The storage quota is used up: 4999 of 5000 files in use, 1 on the way.",
			"存储配额不足：已使用 4999/5000 个文件，另有 1 个正在上传。",
		},
		// What a caller wrote is text, whatever it looks like.
		{storage.Refuse(storage.CodeExtensionNotAllowed, storage.Details{"extension": "{size}[x]"}), "Files with this extension are not accepted: {size}[x].", "不接受此扩展名的文件：{size}[x]。"},
	}
	for _, tt := range tests {
		require.Equal(t, tt.english, answers[tt.err.Code].sentence(tt.err, storage.LocaleEnglish))
		require.Equal(t, tt.chinese, answers[tt.err.Code].sentence(tt.err, storage.LocaleChinese))
	}
}

func TestBytesFor(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 1: "1 B", 1023: "1,023 B", 1024: "1 KiB", 1025: "1,025 B", 1536: "1,536 B", 5 << 20: "5 MiB", 5<<20 - 1: "5.0 MiB (5,242,879 B)",
		100 << 20: "100 MiB", 1 << 40: "1 TiB", 1 << 50: "1024 TiB", -1: "-1 B",
	} {
		require.Equal(t, want, bytesFor(n))
	}
}

func TestRefusalOf(t *testing.T) {
	wrapped := fmt.Errorf("stage: %w", storage.Refuse(storage.CodeDuplicateFile, nil))
	tests := []struct {
		err    error
		code   storage.Code
		status int
	}{
		{wrapped, storage.CodeDuplicateFile, 409},
		{errors.Join(errors.New("a"), wrapped), storage.CodeDuplicateFile, 409},
		{storage.Refuse("NO_SUCH_CODE", nil), storage.CodeInternal, 500},
		{errors.New("disk on fire"), storage.CodeInternal, 500},
		{fmt.Errorf("query: %w", context.DeadlineExceeded), storage.CodeUnavailable, 503},
		{fiber.ErrNotFound, storage.CodeNotFound, 404},
		{fiber.ErrMethodNotAllowed, storage.CodeMethodNotAllowed, 405},
		{fiber.ErrRequestEntityTooLarge, storage.CodeFileTooLarge, 413},
		{fiber.ErrRequestHeaderFieldsTooLarge, storage.CodeMalformedRequest, 431},
		{fiber.ErrRequestTimeout, storage.CodeMalformedRequest, 408},
		{fiber.ErrPreconditionFailed, storage.CodeConflict, 412},
		{fiber.ErrTeapot, storage.CodeMalformedRequest, 400},
		{fiber.ErrBadGateway, storage.CodeInternal, 500},
		{fiber.ErrServiceUnavailable, storage.CodeUnavailable, 503},
	}
	for _, tt := range tests {
		e, status := refusalOf(&fasthttp.RequestCtx{}, tt.err)
		require.Equal(t, tt.code, e.Code, tt.err)
		require.Equal(t, tt.status, status, tt.err)
	}
}

func TestLocaleOf(t *testing.T) {
	const english, chinese = storage.LocaleEnglish, storage.LocaleChinese
	tests := map[string]storage.Locale{
		"": english, "en": english, "zh": chinese, "zh-CN": chinese, "zh-Hans": chinese, "zh-Hans-CN": chinese, "zh-SG": chinese,
		"zh-TW": chinese, "zh-Hant": chinese, "zh-HK,zh;q=0.9": chinese,
		"zh-CN,zh;q=0.9,en;q=0.8": chinese, "en-US,en;q=0.9,zh-CN;q=0.8": english, "zh-CN;q=0.5, en": english,
		"de": english, "de,zh-CN;q=0.5": chinese, "fr-FR,fr;q=0.9": english, "*": english,
		"zh;q=0": english, "zh;q=0, en;q=0": english, "nonsense;;;": english, strings.Repeat("zh,", 1000): english,
	}
	for header, want := range tests {
		require.Equal(t, want, LocaleOf(header), header)
	}
}

func FuzzLocaleOf(f *testing.F) {
	f.Add("zh-CN,zh;q=0.9,en;q=0.8")
	f.Add("*;q=0")
	f.Fuzz(func(t *testing.T, header string) {
		if l := LocaleOf(header); l != storage.LocaleEnglish && l != storage.LocaleChinese {
			t.Fatal(l)
		}
	})
}

// TestLevelOf: only what is wrong with us is an error of the log.
func TestLevelOf(t *testing.T) {
	for _, tt := range []struct {
		code storage.Code
		want slog.Level
	}{
		{storage.CodeQuotaExceeded, slog.LevelInfo}, {storage.CodeNotFound, slog.LevelInfo}, {storage.CodeRateLimited, slog.LevelInfo},
		{storage.CodeUnavailable, slog.LevelWarn}, {storage.CodeInternal, slog.LevelError}, {"NO_SUCH_CODE", slog.LevelError},
	} {
		_, status := refusalOf(&fasthttp.RequestCtx{}, storage.Refuse(tt.code, nil))
		require.Equal(t, tt.want, levelOf(status, tt.code), tt.code)
	}
}
