package httpapi

import (
	"net/http"

	"gatehouse/storage"
)

// answer is what a code means in HTTP. In the sentences {key} is replaced by the detail of that name, {key:bytes}
// by it as a size for people, {reason} by the reason's sentence; a part in [brackets] that needs a detail the
// error does not have is left out.
type answer struct {
	status           int
	english, chinese string
	// alone: where there is a reason, its sentence says it all.
	alone bool
}

// answers is THE table of errors. A code without a row does not pass the tests.
var answers = map[storage.Code]answer{
	storage.CodeUnauthenticated: {
		status:  http.StatusUnauthorized,
		english: "The API key is missing or not valid. Send it in the header Authorization: Bearer <key>.",
		chinese: "缺少 API 密钥或密钥无效。请通过请求头 Authorization: Bearer <key> 发送。",
		alone:   true,
	},
	storage.CodeMFARequired: {
		status:  http.StatusUnauthorized,
		english: "This needs a fresh code of your second factor.",
		chinese: "此操作需要重新输入二次验证码。",
		alone:   true,
	},
	storage.CodeForbidden: {
		status:  http.StatusForbidden,
		english: "You are not allowed to do this[: the key lacks the scope {scope}].[ {reason}]",
		chinese: "您无权执行此操作[：密钥缺少 {scope} 权限]。[{reason}]",
	},
	storage.CodeTenantSuspended: {
		status:  http.StatusForbidden,
		english: "The account is suspended. Uploads are refused until it is active again; please contact the provider.[ {reason}]",
		chinese: "账户已被暂停。恢复之前不接受上传，请联系服务提供方。[{reason}]",
	},
	storage.CodePlanForbids: {
		status:  http.StatusForbidden,
		english: "The current plan does not include this[: files of the kind {category}].[ {reason}]",
		chinese: "当前套餐不支持此功能[（{category} 类文件）]。[{reason}]",
	},
	storage.CodeNotFound: {
		status:  http.StatusNotFound,
		english: "There is nothing here, or it is not yours to see.[ {reason}]",
		chinese: "未找到该内容，或您无权查看。[{reason}]",
	},
	storage.CodeMethodNotAllowed: {
		status:  http.StatusMethodNotAllowed,
		english: "This address does not support the method {method}; see the Allow header.",
		chinese: "此地址不支持 {method} 方法，请参阅 Allow 响应头。",
	},
	storage.CodeAssetQuarantined: {
		status:  http.StatusConflict,
		english: "The file has not been scanned yet. Please try again shortly.[ {reason}]",
		chinese: "文件尚未完成安全扫描，请稍后再试。[{reason}]",
	},
	storage.CodeAssetDamaged: {
		status:  http.StatusConflict,
		english: "What is stored of the file is damaged and cannot be read.[ {reason}]",
		chinese: "该文件的存储内容已损坏，无法读取。[{reason}]",
	},
	storage.CodeDuplicateFile: {
		status:  http.StatusConflict,
		english: "This file has been uploaded before.[ {reason}]",
		chinese: "该文件之前已经上传过。[{reason}]",
	},
	storage.CodeConflict: {
		status:  http.StatusConflict,
		english: "The request contradicts the current state.[ {reason}]",
		chinese: "请求与当前状态冲突。[{reason}]",
	},
	storage.CodeAssetRejected: {
		status:  http.StatusGone,
		english: "The file did not pass the security scan and cannot be read[ ({signature})].[ {reason}]",
		chinese: "文件未通过安全扫描，无法读取[（{signature}）]。[{reason}]",
	},
	storage.CodeLengthRequired: {
		status:  http.StatusLengthRequired,
		english: "The request must announce its size in a Content-Length header; chunked bodies are not accepted.[ {reason}]",
		chinese: "请求必须通过 Content-Length 头声明大小，不接受分块传输的请求体。[{reason}]",
	},
	storage.CodeFileTooLarge: {
		status:  http.StatusRequestEntityTooLarge,
		english: "The file is too large[: it has {size:bytes}][: the request has {request_bytes:bytes}][; at most {limit:bytes} are allowed].[ {reason}]",
		chinese: "文件过大[：大小为 {size:bytes}][：请求大小为 {request_bytes:bytes}][，最大允许 {limit:bytes}]。[{reason}]",
	},
	storage.CodeExtensionNotAllowed: {
		status:  http.StatusUnsupportedMediaType,
		english: "Files with this extension are not accepted[: {extension}].[ Accepted are: {allowed}.][ {reason}]",
		chinese: "不接受此扩展名的文件[：{extension}]。[可接受的扩展名：{allowed}。][{reason}]",
	},
	storage.CodeTypeNotAllowed: {
		status:  http.StatusUnsupportedMediaType,
		english: "The file's content is of a type that is not accepted[: {detected}].[ {reason}]",
		chinese: "不接受此类型的文件内容[：{detected}]。[{reason}]",
	},
	storage.CodeTypeMismatch: {
		status:  http.StatusUnsupportedMediaType,
		english: "The file's content does not match its extension[: it is named .{extension}][ but contains {detected}].[ {reason}]",
		chinese: "文件内容与扩展名不符[：扩展名为 .{extension}][，内容为 {detected}]。[{reason}]",
	},
	storage.CodeRangeNotSatisfiable: {
		status:  http.StatusRequestedRangeNotSatisfiable,
		english: "The requested range lies outside of the file[, which has {size} bytes].",
		chinese: "请求的范围超出文件[，文件共 {size} 字节]。",
	},
	storage.CodeFileEmpty: {
		status:  http.StatusUnprocessableEntity,
		english: "The file is empty.[ {reason}]",
		chinese: "文件为空。[{reason}]",
	},
	storage.CodeFilenameInvalid: {
		status:  http.StatusUnprocessableEntity,
		english: "The file name is not accepted.[ {reason}]",
		chinese: "文件名不符合要求。[{reason}]",
	},
	storage.CodeContentUnsafe: {
		status:  http.StatusUnprocessableEntity,
		english: "The file was refused because of what it contains.[ {reason}]",
		chinese: "文件因其内容而被拒绝。[{reason}]",
	},
	storage.CodeDigestMismatch: {
		status:  http.StatusUnprocessableEntity,
		english: "The bytes that arrived do not have the announced[ {algorithm}] digest. Please send the file again.[ {reason}]",
		chinese: "收到的数据与声明的[ {algorithm} ]摘要不一致，请重新发送文件。[{reason}]",
	},
	storage.CodeRateLimited: {
		status:  http.StatusTooManyRequests,
		english: "Too many requests. Please wait and try again.[ {reason}]",
		chinese: "请求过于频繁，请稍后再试。[{reason}]",
	},
	storage.CodeQuotaExceeded: {
		status:  http.StatusInsufficientStorage,
		english: "The storage quota is used up[: {needed:bytes} are needed][; {used:bytes} of {quota:bytes} are in use][ and {reserved:bytes} are reserved for running uploads][: {used:files} of {quota:files} files in use][, {reserved:files} on the way].[ {releasing_bytes:bytes} of deleted files become free by {released_at}.][ {reason}][ More room: {upgrade_url}]",
		chinese: "存储配额不足[：需要 {needed:bytes}][，已使用 {used:bytes}/{quota:bytes}][，另有 {reserved:bytes} 已为进行中的上传预留][：已使用 {used:files}/{quota:files} 个文件][，另有 {reserved:files} 个正在上传]。[已删除文件的 {releasing_bytes:bytes} 将于 {released_at} 前释放。][{reason}][升级：{upgrade_url}]",
	},
	storage.CodeUnavailable: {
		status:  http.StatusServiceUnavailable,
		english: "The service cannot do this right now. Please try again shortly.[ {reason}]",
		chinese: "服务暂时无法处理此请求，请稍后再试。[{reason}]",
	},
	storage.CodeUploadIncomplete: {
		status:  http.StatusBadRequest,
		english: "The upload did not arrive completely.[ {reason}]",
		chinese: "上传未完整到达。[{reason}]",
	},
	storage.CodeMalformedRequest: {
		status:  http.StatusBadRequest,
		english: "The request could not be understood.[ {reason}]",
		chinese: "无法理解该请求。[{reason}]",
	},
	storage.CodeReleaseVersionInvalid: {
		status:  http.StatusBadRequest,
		english: "This is not a version that semantic versioning knows, such as 1.4.0 or 2.0.0-beta.1[: {version}].[ {reason}]",
		chinese: "版本号不符合语义化版本规范（例如 1.4.0 或 2.0.0-beta.1）[：{version}]。[{reason}]",
	},
	storage.CodeReleaseHeartbeatInvalid: {
		status:  http.StatusBadRequest,
		english: "The heartbeat was not understood.[ {reason}]",
		chinese: "无法识别该心跳请求。[{reason}]",
	},
	storage.CodeReleaseChecksumMismatch: {
		status:  http.StatusBadRequest,
		english: "The checksum of the file is not the one that was expected.[ {reason}]",
		chinese: "文件校验和与预期不符。[{reason}]",
	},
	storage.CodeReleaseDeviceTokenInvalid: {
		status:  http.StatusUnauthorized,
		english: "The device token is missing, has expired, was revoked, or is of another device. Ask your application's server for a new one.",
		chinese: "设备令牌缺失、已过期、已被撤销或属于其他设备。请向应用服务器申请新的令牌。",
	},
	storage.CodeReleasePermissionDenied: {
		status:  http.StatusForbidden,
		english: "This is not allowed for releases.[ {reason}]",
		chinese: "不允许对发布版本执行此操作。[{reason}]",
	},
	storage.CodeReleaseArtifactNotFound: {
		status:  http.StatusNotFound,
		english: "No release has such a file.[ {reason}]",
		chinese: "没有任何发布版本包含该文件。[{reason}]",
	},
	storage.CodeReleasePublishedConflict: {
		status:  http.StatusConflict,
		english: "What is published has changed meanwhile. Read it again and decide anew.[ {reason}]",
		chinese: "已发布的版本在此期间发生了变化，请重新读取后再决定。[{reason}]",
	},
	storage.CodeReleaseNotPublishable: {
		status:  http.StatusUnprocessableEntity,
		english: "The release cannot be published as it is.[ {reason}]",
		chinese: "该版本目前无法发布。[{reason}]",
	},
	storage.CodeReleaseRateLimited: {
		status:  http.StatusTooManyRequests,
		english: "Too many heartbeats of this device in this minute[: at most {limit}].",
		chinese: "该设备在这一分钟内的心跳过多[：最多 {limit} 次]。",
	},
	storage.CodeInternal: {
		status:  http.StatusInternalServerError,
		english: "Something went wrong on our side. Please try again later; the request id helps us to find the cause.",
		chinese: "服务器内部出错，请稍后再试。请求编号可帮助我们查找原因。",
	},
}

// The reasons that this package gives itself.
var (
	reasonNoRoute = storage.Reason{
		Slug:    "no_route",
		English: "There is no such address; /openapi.yaml lists those for applications.",
		Chinese: "没有这个地址；供应用程序使用的地址见 /openapi.yaml。",
	}
	reasonHeadersTooLarge = storage.Reason{
		Slug:    "headers_too_large",
		English: "The request line and headers are too large.",
		Chinese: "请求行和请求头过大。",
	}
	reasonBadHTTP = storage.Reason{
		Slug:    "bad_http",
		English: "The request line or a header does not follow the HTTP protocol.",
		Chinese: "请求行或请求头不符合 HTTP 协议。",
	}
	reasonRequestTimeout = storage.Reason{
		Slug:    "request_timeout",
		English: "The request did not arrive in time.",
		Chinese: "请求未能及时到达。",
	}
	reasonPrecondition = storage.Reason{
		Slug:    "precondition_failed",
		English: "A condition in the request's headers does not hold.",
		Chinese: "请求头中的前提条件不成立。",
	}
	reasonTooManyUploads = storage.Reason{
		Slug:    "too_many_uploads",
		English: "Too many uploads are running at the moment.",
		Chinese: "当前正在进行的上传过多。",
	}
)
