package stream

import "gatehouse/storage"

// Why an upload did not arrive whole.
var (
	reasonTruncated = storage.Reason{
		Slug:    "truncated",
		English: "The connection ended before all announced bytes had arrived. Please send the file again.",
		Chinese: "连接在全部数据到达之前就结束了，请重新发送文件。",
	}
	reasonTooSlow = storage.Reason{
		Slug:    "too_slow",
		English: "The data arrived too slowly, so the upload was stopped. Please try again on a faster connection.",
		Chinese: "数据到达得太慢，上传已被中止。请在更快的网络下重试。",
	}
	reasonConnectionLost = storage.Reason{
		Slug:    "connection_lost",
		English: "The connection broke while the data was arriving. Please send the file again.",
		Chinese: "数据传输过程中连接中断，请重新发送文件。",
	}
)

// Why a request could not be understood.
var (
	reasonAmbiguousLength = storage.Reason{
		Slug:    "ambiguous_length",
		English: "The headers Content-Length and Transfer-Encoding contradict each other or are not supported. Send exactly one Content-Length.",
		Chinese: "Content-Length 与 Transfer-Encoding 头相互矛盾或不受支持。请只发送一个 Content-Length。",
	}
	reasonNotMultipart = storage.Reason{
		Slug:    "not_multipart",
		English: "Send the file as multipart/form-data, in a field named file.",
		Chinese: "请以 multipart/form-data 格式发送文件，字段名为 file。",
	}
	reasonNoBoundary = storage.Reason{
		Slug:    "no_boundary",
		English: "The Content-Type header has no usable boundary parameter. Let your HTTP library set this header itself.",
		Chinese: "Content-Type 头缺少有效的 boundary 参数。请让 HTTP 库自行设置该请求头。",
	}
	reasonBrokenForm = storage.Reason{
		Slug:    "broken_form",
		English: "The form data is damaged: its parts do not follow the multipart/form-data format.",
		Chinese: "表单数据已损坏：其各部分不符合 multipart/form-data 格式。",
	}
	reasonNoFile = storage.Reason{
		Slug:    "no_file",
		English: "The form contains no file. Send it in a field named file, with a file name.",
		Chinese: "表单中没有文件。请在名为 file 的字段中发送文件，并带上文件名。",
	}
	reasonSecondFile = storage.Reason{
		Slug:    "second_file",
		English: "The form contains more than one file. Send one file a request.",
		Chinese: "表单中包含多个文件。每个请求只能发送一个文件。",
	}
	reasonWrongField = storage.Reason{
		Slug:    "wrong_field",
		English: "The file is in a field of another name. The field must be named file.",
		Chinese: "文件所在的字段名不正确，字段名必须是 file。",
	}
	reasonTooManyParts = storage.Reason{
		Slug:    "too_many_parts",
		English: "The form has too many fields.",
		Chinese: "表单的字段过多。",
	}
	reasonFieldTooLarge = storage.Reason{
		Slug:    "field_too_large",
		English: "The form's fields and headers are too large. Only the file may be large.",
		Chinese: "表单的字段或头部过大，只有文件可以很大。",
	}
	reasonRepeatedField = storage.Reason{
		Slug:    "repeated_field",
		English: "The form sends the same field twice.",
		Chinese: "表单重复发送了同一个字段。",
	}
	reasonBadDisposition = storage.Reason{
		Slug:    "bad_disposition",
		English: "A form part has an unreadable Content-Disposition header.",
		Chinese: "表单的某一部分的 Content-Disposition 头无法读取。",
	}
)

// Why a JSON body was refused.
var (
	reasonNotJSON = storage.Reason{
		Slug:    "not_json",
		English: "Send a JSON body with the header Content-Type: application/json.",
		Chinese: "请发送 JSON 请求体，并带上请求头 Content-Type: application/json。",
	}
	reasonJSONSyntax = storage.Reason{
		Slug:    "json_syntax",
		English: "The request body is not valid JSON.",
		Chinese: "请求体不是有效的 JSON。",
	}
	reasonUnknownField = storage.Reason{
		Slug:    "unknown_field",
		English: "The request body has a field that this call does not know; see details.field.",
		Chinese: "请求体包含此接口不支持的字段，见 details.field。",
	}
	reasonWrongType = storage.Reason{
		Slug:    "wrong_type",
		English: "A field of the request body has the wrong type; see details.field.",
		Chinese: "请求体中某个字段的类型不正确，见 details.field。",
	}
	reasonTrailingData = storage.Reason{
		Slug:    "trailing_data",
		English: "The request body has data after the JSON value.",
		Chinese: "请求体在 JSON 值之后还有多余的数据。",
	}
	reasonBodyTooLarge = storage.Reason{
		Slug:    "body_too_large",
		English: "The request body is larger than this call accepts.",
		Chinese: "请求体超过了此接口允许的大小。",
	}
)

func malformed(r storage.Reason) *storage.Error {
	return storage.Refuse(storage.CodeMalformedRequest, nil).Because(r)
}

func incomplete(r storage.Reason, cause error) *storage.Error {
	return storage.Refuse(storage.CodeUploadIncomplete, nil).Because(r).CausedBy(cause)
}
