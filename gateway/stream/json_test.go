package stream

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
)

func TestReadJSON(t *testing.T) {
	type payload struct {
		Name string `json:"name"`
		Size int64  `json:"size"`
	}
	tests := []struct {
		name, contentType, body, reason, field string
	}{
		{name: "plain", body: `{"name":"a","size":1}`},
		{name: "white space around", body: " \n{\"name\":\"a\",\"size\":1}\n "},
		{name: "charset", contentType: "application/json; charset=utf-8", body: `{"name":"a","size":1}`},
		{name: "unknown field", body: `{"name":"a","sise":1}`, reason: "unknown_field", field: "sise"},
		{name: "wrong type", body: `{"name":"a","size":"1"}`, reason: "wrong_type", field: "size"},
		{name: "fraction", body: `{"size":1.5}`, reason: "wrong_type", field: "size"},
		{name: "overflow", body: `{"size":99999999999999999999}`, reason: "wrong_type", field: "size"},
		{name: "trailing value", body: `{"name":"a","size":1}{}`, reason: "trailing_data"},
		{name: "trailing brace", body: `{"name":"a","size":1}}`, reason: "trailing_data"},
		{name: "cut", body: `{"name":"a"`, reason: "json_syntax"},
		{name: "empty", body: ``, reason: "json_syntax"},
		{name: "not JSON", body: `name=a`, reason: "json_syntax"},
		{name: "form", contentType: "application/x-www-form-urlencoded", body: `{}`, reason: "not_json"},
		{name: "no type", contentType: "-", body: `{}`, reason: "not_json"},
		{name: "too large", body: `{"name":"` + strings.Repeat("a", 200) + `"}`, reason: "body_too_large"},
		{name: "deep", body: strings.Repeat("[", 100), reason: "json_syntax"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ct := tt.contentType
			if ct == "" {
				ct = "application/json"
			} else if ct == "-" {
				ct = ""
			}
			var got payload
			body := newBody(strings.NewReader(tt.body), nil, int64(len(tt.body)), Pace{})
			err := readJSON(body, ct, 128, &got)
			if tt.reason == "" {
				require.NoError(t, err)
				require.Equal(t, payload{"a", 1}, got)
				require.True(t, body.Ended())
				return
			}
			e := refusal(t, err, storage.CodeMalformedRequest, tt.reason)
			if tt.field != "" {
				require.Equal(t, tt.field, e.Details["field"])
			}
		})
	}
}

func TestReadJSONThatBreaksOff(t *testing.T) {
	for _, sent := range []string{`{"name`, `{"name":"a"}`} {
		body := newBody(strings.NewReader(sent), nil, int64(len(sent)+5), Pace{})
		refusal(t, readJSON(body, "application/json", 0, &struct {
			Name string `json:"name"`
		}{}), storage.CodeUploadIncomplete, "truncated")
	}
}
